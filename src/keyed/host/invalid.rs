//! [`InvalidHost`].

use std::error::Error;
use std::fmt;

/// The error of [`HostPort::new`](crate::keyed::HostPort::new) for text that is not a host.
///
/// Its `Display` quotes the text, shortened if it is long, and says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidHost(Box<str>);

/// How many characters of the text are shown.
const SHOWN: usize = 100;

impl InvalidHost {
    pub(super) fn new(text: &str) -> Self {
        let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
        let more = if end < text.len() { "..." } else { "" };
        Self(format!("{:?}{more}", &text[..end]).into())
    }
}

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not a host: expected a name in ASCII, an IPv4 address or an IPv6 address in \
             brackets, of up to 255 bytes",
            self.0
        )
    }
}

impl Error for InvalidHost {}
