//! [`HostPort`] and its borrowed form.

mod invalid;

use std::fmt::{self, Display};
use std::net::Ipv6Addr;

use equivalent::Equivalent;

pub use self::invalid::InvalidHost;

/// A host and a port: the key of a circuit that is picked [by host](crate::keyed::ByHost).
///
/// Its `Display` is `api.example.com:443` or `[::1]:8080`, without the port if it has none, and `-` if it
/// has no host.
///
/// # What a host is
/// A host is a name, an IPv4 address, or an IPv6 address in brackets
/// ([RFC 3986, section 3.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2)):
///
/// * It has at most 255 bytes
///   ([RFC 1035, section 2.3.4](https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4)).
/// * A name consists of letters, digits and ``-._~!$&'()*+,;=``, all of them ASCII, and of `%` followed by
///   two hexadecimal digits. An internationalised name has to be in its ASCII form, such as
///   `xn--bcher-kva.example`. A single `-` is not a name, because it stands for no host.
/// * Upper and lower case are the same, and a final dot is dropped: `Example.com.` is `example.com`.
///
/// Nothing else is normalised. `127.0.0.1` and `0x7f.1` are different keys, although many programs connect
/// to the same host for both. So a host may have several circuits, but never that of another host.
///
/// # Example
/// ```
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker::keyed::{CircuitBreakerRegistry, HostPort, KeyedLayer};
///
/// let template = CircuitBreaker::builder("backend");
/// let circuits = CircuitBreakerRegistry::builder(template).build()?;
/// let layer = KeyedLayer::by_host(circuits.clone());
///
/// // An operator's switch. There is a circuit once there have been calls to this host.
/// if let Some(breaker) = circuits.get(&HostPort::new("api.example.com", 443)?) {
///     breaker.force_open();
/// }
/// # Ok::<(), tower::BoxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// In lower case, or empty.
    host: Box<str>,
    port: Option<u16>,
}

impl HostPort {
    /// Returns the key of requests to this host and port, or, with `None`, of requests that have neither a
    /// port nor a scheme.
    ///
    /// # Errors
    /// Returns [`InvalidHost`] if `host` is not a [host](Self#what-a-host-is).
    ///
    /// # Example
    /// ```
    /// use tower_breaker::keyed::HostPort;
    ///
    /// let key = HostPort::new("API.example.com", 443)?;
    /// assert_eq!(key.host(), Some("api.example.com"));
    /// assert_eq!(key.port(), Some(443));
    ///
    /// let error = HostPort::new("https://api.example.com", 443).unwrap_err();
    /// assert!(error.to_string().starts_with(r#""https://api.example.com" is not a host"#));
    /// # Ok::<(), tower_breaker::keyed::InvalidHost>(())
    /// ```
    pub fn new(host: &str, port: impl Into<Option<u16>>) -> Result<Self, InvalidHost> {
        let mut buffer = [0; LONGEST_HOST];
        let key = HostRef::new(host, port.into()).normalised(&mut buffer);
        key.map(|key| key.to_owned()).ok_or_else(|| InvalidHost::new(host))
    }

    /// Returns the key that all requests without a valid host share.
    #[must_use]
    pub fn no_host() -> Self {
        HostRef::NO_HOST.to_owned()
    }

    /// Returns the host in lower case, an IPv6 address in brackets. Returns `None` for the key of requests
    /// without a valid host.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        Some(&*self.host).filter(|host| !host.is_empty())
    }

    /// Returns the port, if it is known.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl From<&str> for HostPort {
    /// Returns the key of requests with this authority, such as `api.example.com:443`. User information is
    /// ignored.
    ///
    /// Without a port, this is the key of requests that have neither a port nor a scheme. Text that is not
    /// an authority gives the key of requests without a valid host. [`HostPort::new`] returns an error
    /// instead.
    fn from(authority: &str) -> Self {
        // The `http` crate knows what user information is, as it does for the URI of a request.
        let is_valid = || authority.parse::<http::uri::Authority>().is_ok();
        let has_user = authority.contains('@');
        let host_port = if !has_user || is_valid() { HostRef::without_user(authority) } else { "" };
        let mut buffer = [0; LONGEST_HOST];
        let key = HostRef::read(host_port, None).and_then(|key| key.normalised(&mut buffer));
        key.unwrap_or(HostRef::NO_HOST).to_owned()
    }
}

impl Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.host, self.port) {
            ("", _) => f.write_str("-"),
            (host, None) => f.write_str(host),
            (host, Some(port)) => write!(f, "{host}:{port}"),
        }
    }
}

/// A host and a port as they stand in a request, which may be no host, or not be in lower case. It is hashed
/// as a key is, and equal to a key only if it is the text of the key.
#[derive(Clone, Copy, Hash)]
pub(super) struct HostRef<'a> {
    host: &'a str,
    port: Option<u16>,
}

pub(super) const LONGEST_HOST: usize = 255;

impl<'a> HostRef<'a> {
    pub(super) const NO_HOST: Self = Self { host: "", port: None };

    #[inline(always)]
    fn new(host: &'a str, port: Option<u16>) -> Self {
        // Only a name can have a final dot. Before an encoded character, which may be a dot as well, it stays,
        // and so the text is no host.
        let name = host.strip_suffix('.').filter(|name| !name.contains(['%', ']']));
        Self { host: name.unwrap_or(host), port }
    }

    /// Removes the user information from a valid authority.
    #[inline(always)]
    pub(super) fn without_user(authority: &str) -> &str {
        // There is hardly ever any, and that is found out sooner than where it ends.
        if !authority.as_bytes().contains(&b'@') {
            return authority;
        }
        authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port)
    }

    /// Reads `host` or `host:port`. Returns `None` if the port is too large.
    #[inline(always)]
    pub(super) fn read(host_port: &'a str, default_port: Option<u16>) -> Option<Self> {
        let bytes = host_port.as_bytes();
        // Digits at the end are a port if there is a colon before them.
        let (host, port) = match bytes.iter().rposition(|byte| !byte.is_ascii_digit()) {
            Some(at) if bytes[at] == b':' => (&host_port[..at], &host_port[at + 1..]),
            _ => (host_port, ""),
        };
        let port = if port.is_empty() { default_port } else { Some(port.parse().ok()?) };
        Some(Self::new(host, port))
    }

    /// Returns the same in lower case, written to `buffer`, or `None` if this is not a host.
    pub(super) fn normalised<'b>(&self, buffer: &'b mut [u8; LONGEST_HOST]) -> Option<HostRef<'b>> {
        let lower = buffer.get_mut(..self.host.len()).filter(|_| is_host(self.host))?;
        lower.copy_from_slice(self.host.as_bytes());
        lower.make_ascii_lowercase();
        Some(HostRef { host: std::str::from_utf8(lower).ok()?, port: self.port })
    }

    pub(super) fn to_owned(self) -> HostPort {
        HostPort { host: self.host.into(), port: self.port }
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
        None => is_name(host) && !matches!(host, "" | "-") && !host.ends_with('.'),
    }
}

/// Whether this is a `reg-name` of RFC 3986, which includes every IPv4 address.
fn is_name(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    let mut bytes = host.bytes();
    while let Some(byte) = bytes.next() {
        let mut next_is_hex = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        let is_encoded = byte == b'%' && next_is_hex() && next_is_hex();
        if !is_encoded && !is_plain(byte) {
            return false;
        }
    }
    true
}

impl Equivalent<HostPort> for HostRef<'_> {
    #[inline]
    fn equivalent(&self, key: &HostPort) -> bool {
        self.port == key.port && *self.host == *key.host
    }
}
