//! [`ByHost`].

use http::header::HOST;
use http::{HeaderMap, Request};

use crate::circuit::{Permit, Rejected};
use crate::keyed::host::{HostRef, LONGEST_HOST};
use crate::keyed::{CircuitBreakerRegistry, HostPort, PickCircuit};

/// Picks the circuit of an HTTP request by its [host and port](HostPort).
///
/// The host is that of the URI. A URI without an authority leaves it to the `Host` header
/// ([RFC 9112, section 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)). User information in a
/// URI is ignored.
///
/// A request without a port gets the default port of its URI's scheme: 80 for `http` and `ws`, 443 for
/// `https` and `wss`. With another scheme, or without one, the key has no port.
///
/// All requests without a valid host share one circuit, whose key is [`HostPort::no_host`]. These are
/// requests
///
/// * without a host, or with several `Host` headers,
/// * with a host that is [none](HostPort#what-a-host-is), such as a `Host` header with user information or
///   with a scheme,
/// * with a port above 65535.
///
/// Looking up a circuit by host allocates nothing.
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
        let key = read(request).unwrap_or(HostRef::NO_HOST);
        // The text of the request is looked up as it is. Only if it is not the text of a key does it have to
        // be checked and turned into lower case, which most hosts are in already.
        circuits.ask(&key, || {
            let mut buffer = [0; LONGEST_HOST];
            let key = key.normalised(&mut buffer).unwrap_or(HostRef::NO_HOST);
            circuits.found_or_created(&key, || key.to_owned())
        })
    }
}

/// Reads the host and the port where they stand in the request.
///
/// Always inlined, because passing the result through memory would take longer than reading it from the
/// request (`cargo bench --bench keyed`).
#[inline(always)]
fn read<B>(request: &Request<B>) -> Option<HostRef<'_>> {
    let uri = request.uri();
    let host_port = match uri.authority() {
        Some(authority) => HostRef::without_user(authority.as_str()),
        None => host_header(request.headers())?,
    };
    let default_port = match uri.scheme_str() {
        Some("http" | "ws") => Some(80),
        Some("https" | "wss") => Some(443),
        _ => None,
    };
    HostRef::read(host_port, default_port)
}

#[cold]
fn host_header(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(HOST).into_iter();
    let only = all.next().filter(|_| all.next().is_none())?;
    only.to_str().ok()
}
