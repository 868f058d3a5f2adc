//! [`ByHost`].

use http::header::HOST;
use http::{Request, Uri};

use crate::breaker::CircuitBreaker;
use crate::keyed::{CircuitBreakerRegistry, PickCircuit};

/// Picks the circuit of an HTTP request by host and port. The keys are strings such as
/// `api.example.com:443` or `[::1]:8080`.
///
/// The host is that of the URI, else of the `Host` header
/// ([RFC 9112, section 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)), in lower case. If
/// there is no port, it is the default one of the URI's scheme: 80 for `http` and `ws`, 443 for
/// `https` and `wss`; without a scheme that it knows, the key is the host alone. Requests without a
/// host, or with one that is longer than a name can be (255 bytes,
/// [RFC 1035, section 2.3.4](https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4)), share the circuit
/// with the key `-`.
///
/// It allocates nothing unless the circuit has to be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByHost;

impl<B> PickCircuit<Request<B>> for ByHost {
    type Key = String;

    fn pick(
        &self,
        request: &Request<B>,
        circuits: &CircuitBreakerRegistry<String>,
    ) -> CircuitBreaker {
        let origin = authority(request).and_then(|authority| Origin::new(authority, request.uri()));
        circuits.get_or_create(origin.as_ref().map_or("-", Origin::as_str))
    }
}

fn authority<B>(request: &Request<B>) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(HOST)?.to_str().ok(),
    }
}

/// `host:port` in lower case, on the stack.
struct Origin {
    bytes: [u8; LONGEST_HOST + LONGEST_PORT],
    len: usize,
}

const LONGEST_HOST: usize = 255;
const LONGEST_PORT: usize = ":65535".len();

impl Origin {
    fn new(authority: &str, uri: &Uri) -> Option<Self> {
        let (_, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = match address.rsplit_once(':') {
            // Not one of the colons in an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (address, ""),
        };
        let port = match (port, uri.scheme_str()) {
            ("", Some("http" | "ws")) => "80",
            ("", Some("https" | "wss")) => "443",
            _ => port,
        };
        if host.is_empty() || host.len() > LONGEST_HOST || port.len() >= LONGEST_PORT {
            return None;
        }
        let mut origin = Self { bytes: [0; LONGEST_HOST + LONGEST_PORT], len: 0 };
        origin.push(host);
        if !port.is_empty() {
            origin.push(":");
            origin.push(port);
        }
        origin.bytes[..origin.len].make_ascii_lowercase();
        Some(origin)
    }

    fn push(&mut self, part: &str) {
        let end = self.len + part.len();
        self.bytes[self.len..end].copy_from_slice(part.as_bytes());
        self.len = end;
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("it is made of strings")
    }
}
