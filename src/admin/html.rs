//! [`Html`] and [`Name`]: text that is data, made safe to be part of a page.

use std::fmt::{self, Display, Write};

use crate::circuit::Escaped;

/// Prints text with every character escaped that means something in HTML, also in an attribute in double quotes.
pub(super) struct Html<T>(pub(super) T);

impl<T: Display> Display for Html<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while let Some(at) = text.find(['&', '<', '>', '"', '\'']) {
            let (before, rest) = text.split_at(at);
            self.0.write_str(before)?;
            let (special, rest) = rest.split_at(1);
            self.0.write_str(match special {
                "&" => "&amp;",
                "<" => "&lt;",
                ">" => "&gt;",
                "\"" => "&quot;",
                _ => "&#39;",
            })?;
            text = rest;
        }
        self.0.write_str(text)
    }
}

/// Prints the name of a circuit on one line.
pub(super) struct Name<'a>(pub(super) &'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Html(Escaped(self.0)).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_markup_nor_more_than_one_line() {
        let printed = Name("<script>\n\"x\" & 'y'\u{202e}</script>").to_string();
        let expected = "&lt;script&gt;\\n&quot;x&quot; &amp; &#39;y&#39;\\u{202e}&lt;/script&gt;";
        assert_eq!(printed, expected);
    }
}
