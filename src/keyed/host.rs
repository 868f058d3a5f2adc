//! [`ByHost`] and its key.

use std::fmt::{self, Display};
use std::hash::{Hash, Hasher};

use hashbrown::Equivalent;
use http::header::HOST;
use http::{HeaderMap, Request};

use crate::circuit::Permit;
use crate::circuit::Rejected;
use crate::keyed::{CircuitBreakerRegistry, PickCircuit};

/// Picks the circuit of an HTTP request by [host and port](HostPort).
///
/// The host is that of the URI, else of the `Host` header
/// ([RFC 9112, section 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)). If there is no
/// port, it is the default one of the URI's scheme: 80 for `http` and `ws`, 443 for `https` and `wss`;
/// without a scheme that it knows, there is none. Requests without a host, with one that is longer than a
/// name can be (255 bytes,
/// [RFC 1035, section 2.3.4](https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4)), with a `Host` header
/// that cannot be one, or with a port above 65535 share a circuit.
///
/// It allocates nothing unless the circuit has to be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByHost;

impl<B> PickCircuit<Request<B>> for ByHost {
    type Key = HostPort;

    #[inline]
    fn try_acquire(
        &self,
        request: &Request<B>,
        circuits: &CircuitBreakerRegistry<HostPort>,
    ) -> Result<Permit, Rejected> {
        let key = Borrowed::of(request).unwrap_or(Borrowed::NO_HOST);
        circuits.ask(&key, || circuits.found_or_created(&key, || key.to_owned()))
    }
}

/// A host and a port: the key of a circuit that is picked [by host](ByHost).
///
/// It is printed as `api.example.com:443` or `[::1]:8080`, in lower case; without the port if none is
/// known, and as `-` if there is no host.
///
/// # Example
/// ```
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
///
/// let template = CircuitBreaker::builder("backend");
/// let circuits = CircuitBreakerRegistry::builder(template).build()?;
/// let layer = KeyedLayer::by_host(circuits.clone());
///
/// // An operator's switch, once there have been calls to this host.
/// if let Some(breaker) = circuits.get(&"api.example.com:443".into()) {
///     breaker.force_open();
/// }
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    host: Box<str>,
    /// 0 if it is not known.
    port: u16,
}

impl From<&str> for HostPort {
    /// The key of requests with this authority, such as `api.example.com:443`, in upper or lower case.
    /// Without a port it is the key of requests that have neither a port nor a scheme; what cannot be
    /// an authority has the key of requests without a host.
    fn from(authority: &str) -> Self {
        let read = Some(authority).filter(can_be_in_a_uri).and_then(|text| Borrowed::read(text, 0));
        read.unwrap_or(Borrowed::NO_HOST).to_owned()
    }
}

impl Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.host, self.port) {
            ("", _) => f.write_str("-"),
            (host, 0) => f.write_str(host),
            (host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl Hash for HostPort {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrowed { host: &self.host, port: self.port }.hash(state);
    }
}

/// The same as it stands in a request. To copy it first, in order to write it in lower case, takes
/// longer than to look for its circuit.
#[derive(Clone, Copy)]
struct Borrowed<'a> {
    host: &'a str,
    port: u16,
}

const LONGEST_HOST: usize = 255;

/// The bit that letters have in lower case only, in each of sixteen bytes.
const LOWER_CASE: u128 = 0x2020_2020_2020_2020_2020_2020_2020_2020;

/// Whether there is none of the characters that no URI can have and that [`LOWER_CASE`] makes the same as
/// others, so that nobody can name many hosts that are hashed alike.
fn can_be_in_a_uri(authority: &&str) -> bool {
    !authority.bytes().any(|byte| matches!(byte, b'^' | b'`' | b'{'..=b'}'))
}

#[cold]
fn host_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok().filter(can_be_in_a_uri)
}

impl<'a> Borrowed<'a> {
    const NO_HOST: Self = Self { host: "", port: 0 };

    // Inlined in any case, as the next one: to pass an `Option<Self>` through memory would take longer
    // than to read it from the request.
    #[inline(always)]
    fn of<B>(request: &'a Request<B>) -> Option<Self> {
        let uri = request.uri();
        let authority = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => host_header(request.headers())?,
        };
        let default_port = match uri.scheme_str() {
            Some("http" | "ws") => 80,
            Some("https" | "wss") => 443,
            _ => 0,
        };
        Self::read(authority, default_port)
    }

    #[inline(always)]
    fn read(authority: &'a str, default_port: u16) -> Option<Self> {
        // Almost never, and that is known sooner than where.
        let has_user = authority.as_bytes().contains(&b'@');
        let address = if has_user { authority.rsplit_once('@')?.1 } else { authority };
        // Digits at the end are a port if there is a colon before them.
        let (host, port) = match address.bytes().rposition(|byte| !byte.is_ascii_digit()) {
            Some(at) if address.as_bytes()[at] == b':' => (&address[..at], &address[at + 1..]),
            _ => (address, ""),
        };
        let port = if port.is_empty() { default_port } else { port.parse().ok()? };
        (!host.is_empty() && host.len() <= LONGEST_HOST).then_some(Self { host, port })
    }

    fn to_owned(self) -> HostPort {
        HostPort { host: self.host.to_ascii_lowercase().into(), port: self.port }
    }
}

impl Hash for Borrowed<'_> {
    /// Sixteen bytes at a time; the last sixteen may overlap with those before.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let bytes = self.host.as_bytes();
        let last = match (bytes.last_chunk(), bytes.first_chunk(), bytes.last_chunk()) {
            (Some(sixteen), ..) => u128::from_le_bytes(*sixteen),
            (None, Some(first), Some(last)) => {
                u128::from(u64::from_le_bytes(*first)) << 64 | u128::from(u64::from_le_bytes(*last))
            }
            _ => bytes.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)).into(),
        };
        for word in bytes.chunks_exact(16) {
            let word = u128::from_le_bytes(word.try_into().expect("there are sixteen"));
            state.write_u128(word | LOWER_CASE);
        }
        state.write_u128(last | LOWER_CASE);
        // With the length, or hosts of one letter would be hashed alike, sixteen at a time.
        state.write_u64((bytes.len() as u64) << 16 | u64::from(self.port));
    }
}

impl Equivalent<HostPort> for Borrowed<'_> {
    #[inline]
    fn equivalent(&self, key: &HostPort) -> bool {
        // Letters are almost always in lower case already, and that is known sooner.
        let is_same = |host: &str| self.host == host || self.host.eq_ignore_ascii_case(host);
        self.port == key.port && is_same(&key.host)
    }
}
