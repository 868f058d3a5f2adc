//! Feeds any text to what reads a host: as a `Host` header, as a URI and as a key.
//!
//! Nothing panics. No key is that of another host than the one which the `url` crate finds in the same text,
//! and what that crate rejects is not the key of a host that it accepts. A key can be read back from what is
//! displayed.
#![no_main]

use http::Request;
use http::header::{HOST, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tower_breaker::CircuitBreaker;
use tower_breaker::keyed::{ByHost, CircuitBreakerRegistry, HostPort, PickCircuit};
use url::Url;

fuzz_target!(|text: &str| {
    if let Ok(header) = HeaderValue::from_str(text) {
        let request = Request::get("/").header(HOST, header).body(()).expect("the parts are valid");
        check(text, &key(&request));
    }
    if let Ok(request) = Request::get(format!("http://{text}/")).body(()) {
        check(text, &key(&request));
    }
    check(text, &text.into());
    if let Ok(key) = HostPort::new(text, None) {
        check(text, &key);
    }
});

/// Returns the key of the circuit that a request goes through.
fn key(request: &Request<()>) -> HostPort {
    let template = CircuitBreaker::builder("fuzz");
    let circuits = CircuitBreakerRegistry::builder(template).capacity(1).build();
    let circuits = circuits.expect("the settings are valid");
    ByHost.try_acquire(request, &circuits).expect("a new circuit is closed").success();
    circuits.list().remove(0).0
}

fn check(text: &str, key: &HostPort) {
    assert_eq!(HostPort::from(&*key.to_string()), *key);
    if let Some(host) = key.host() {
        let port = key.port().unwrap_or(80);
        assert_eq!(by_url_crate(text), by_url_crate(&format!("{host}:{port}")), "{key}");
    }
}

/// Returns what the `url` crate takes for the host and the port, if it accepts the text as an authority.
fn by_url_crate(authority: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(&format!("http://{authority}/")).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_owned();
    Some((host, url.port_or_known_default()))
}
