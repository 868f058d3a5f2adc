//! Text for people: numbers, durations, and what strangers wrote.

use std::time::Duration;

/// Prints a time as the library does: `820ms`, `12.5s`, `1m 5s`, `2h 3m`.
pub(crate) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.is_zero() => "0s".into(),
        0..60 => format!("{time:.1?}"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Prints a share as a percentage: `0.5` is `50 %`.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

pub(crate) fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Parses a duration such as `1m 30s`, for an argument.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}, in a duration such as `1m 30s`"))
}

/// Replaces what cannot be seen, or turns the direction of the text.
pub(crate) fn visible(c: char) -> char {
    let is_invisible = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if is_invisible { '\u{fffd}' } else { c }
}
