//! [`ByHost`].

use http::Request;
use http::header::HOST;

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
        let Some(origin) = Origin::of(request) else {
            return circuits.get_or_create(NO_HOST);
        };
        // To clear the large buffer takes longer than all the rest.
        let (mut small, mut large);
        let buffer: &mut [u8] = if origin.len() <= SMALL {
            small = [0; SMALL];
            &mut small
        } else {
            large = [0; LONGEST_HOST + LONGEST_PORT];
            &mut large
        };
        circuits.get_or_create(origin.write(buffer))
    }
}

const NO_HOST: &str = "-";
const LONGEST_HOST: usize = 255;
const LONGEST_PORT: usize = ":65535".len();
const SMALL: usize = 64;

struct Origin<'a> {
    host: &'a str,
    port: &'a str,
}

impl<'a> Origin<'a> {
    #[inline]
    fn of<B>(request: &'a Request<B>) -> Option<Self> {
        let uri = request.uri();
        let authority = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => request.headers().get(HOST)?.to_str().ok()?,
        };
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
        let fits = !host.is_empty() && host.len() <= LONGEST_HOST && port.len() < LONGEST_PORT;
        fits.then_some(Self { host, port })
    }

    fn len(&self) -> usize {
        self.host.len() + ":".len() + self.port.len()
    }

    /// `host:port` in lower case.
    #[inline]
    fn write<'b>(&self, buffer: &'b mut [u8]) -> &'b str {
        let Self { host, port } = self;
        let end = host.len();
        buffer[..end].copy_from_slice(host.as_bytes());
        let mut len = end;
        if !port.is_empty() {
            buffer[end] = b':';
            len = self.len();
            buffer[end + 1..len].copy_from_slice(port.as_bytes());
        }
        let written = &mut buffer[..len];
        written.make_ascii_lowercase();
        std::str::from_utf8(written).expect("it is made of strings")
    }
}
