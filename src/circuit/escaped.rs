//! [`Escaped`]: a name from a stranger, made safe to print.

use std::fmt;

/// Prints a name on one line, with every character escaped that could change how the line around it is
/// read.
///
/// The name of a breaker may contain what a stranger has sent, such as a host or a key. Without escaping, a
/// line break would add a false line to the log, an escape sequence would reach the terminal, and a
/// bidirectional control character would reorder the rest of the line ([Trojan Source]). The escapes are
/// those of Rust's string literals. A backslash is escaped as well, so that different names always look
/// different.
///
/// [Trojan Source]: https://trojansource.codes
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(must_be_escaped) {
            f.write_str(&rest[..at])?;
            let mut chars = rest[at..].chars();
            if let Some(c) = chars.next() {
                c.escape_default().fmt(f)?;
            }
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

fn must_be_escaped(c: char) -> bool {
    c == '\\' || c.is_control() || is_separator(c) || is_bidi_control(c)
}

/// The line separator and the paragraph separator.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// The characters with the property `Bidi_Control` of Unicode.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_change_the_line_is_escaped() {
        for (name, printed) in [
            ("payments", "payments"),
            (
                "caf\u{e9}/cafe\u{301} \"'`{}日本 👩\u{200d}🚀",
                "caf\u{e9}/cafe\u{301} \"'`{}日本 👩\u{200d}🚀",
            ),
            ("a\nb\r\n\tc", "a\\nb\\r\\n\\tc"),
            ("\0\u{1b}[2J\u{7f}\u{9b}", "\\u{0}\\u{1b}[2J\\u{7f}\\u{9b}"),
            ("\u{85}\u{2028}\u{2029}", "\\u{85}\\u{2028}\\u{2029}"),
            ("\u{61c}\u{200e}\u{200f}", "\\u{61c}\\u{200e}\\u{200f}"),
            ("\u{202a}\u{202e}\u{2066}\u{2069}", "\\u{202a}\\u{202e}\\u{2066}\\u{2069}"),
            ("a\\nb", "a\\\\nb"),
            ("\n", "\\n"),
            ("", ""),
        ] {
            assert_eq!(Escaped(name).to_string(), printed);
        }
    }
}
