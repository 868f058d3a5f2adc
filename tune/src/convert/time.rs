//! Times and durations in logs.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Durations beyond this are out of range.
const LONGEST: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// Parses a time, in microseconds since 1970: RFC 3339, nginx's `$time_local`, OpenStack's (taken as UTC) or seconds.
pub(super) fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_microsecond());
    }
    if let Ok(time) = Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text) {
        return Some(time.as_microsecond());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return seconds(text);
    }
    let time = TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?;
    Some(time.as_microsecond())
}

/// Parses seconds since 1970. As text, because an `f64` does not have a microsecond of today.
fn seconds(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if whole.is_empty() || decimals.is_empty() || decimals.contains('.') {
        return None;
    }
    let micros: i64 = format!("{decimals:0<6}")[..6].parse().ok()?;
    let time = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?;
    Timestamp::from_microsecond(time).ok().map(|time| time.as_microsecond())
}

/// In what a log measures durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Unit {
    S,
    Ms,
    Us,
    Ns,
}

/// Parses a duration.
pub(super) fn duration(text: &str, unit: Unit) -> Option<Duration> {
    let number: f64 = text.trim().parse().ok()?;
    let seconds = match unit {
        Unit::S => number,
        Unit::Ms => number / 1e3,
        Unit::Us => number / 1e6,
        Unit::Ns => number / 1e9,
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_all_formats_are_read() {
        let expected = Some(1_480_178_499_000_000);
        for text in [
            "2016-11-26T16:41:39Z",
            "2016-11-26T16:41:39.000Z",
            "2016-11-26T17:41:39+01:00",
            "26/Nov/2016:16:41:39 +0000",
            "26/Nov/2016:11:41:39 -0500",
            "2016-11-26 16:41:39.000",
            "1480178499",
            "1480178499.000",
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("1480178499.123456789"), Some(1_480_178_499_123_456));
        for text in [
            "",
            "-",
            ".",
            "1.",
            "1.2.3",
            "NaN",
            "99999999999999999999",
            "26/Foo/2016:16:41:39 +0000",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_is_a_number_that_is_not_negative_and_not_longer_than_20_years() {
        assert_eq!(duration("0.25", Unit::S), Some(Duration::from_millis(250)));
        assert_eq!(duration("250", Unit::Ms), duration("0.25", Unit::S));
        assert_eq!(duration("250", Unit::Us), Some(Duration::from_micros(250)));
        assert_eq!(duration("250", Unit::Ns), Some(Duration::from_nanos(250)));
        for text in ["", "-", "-1", "NaN", "inf", "1e300", "1e9", "0.1, 0.2"] {
            assert_eq!(duration(text, Unit::S), None, "{text}");
        }
    }
}
