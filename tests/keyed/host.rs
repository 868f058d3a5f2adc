//! The host and port by which the circuit of a request is picked.

use std::convert::Infallible;
use std::future::ready;

use http::Request;
use http::header::HOST;
use proptest::prelude::{prop_assert_eq, proptest};
use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::keyed::{CircuitBreakerRegistry, HostPort, KeyedLayer};

use crate::builder;

/// Returns the circuits after one request.
async fn send<B>(request: Request<B>) -> CircuitBreakerRegistry<HostPort> {
    let circuits = builder().build().unwrap();
    let service = KeyedLayer::by_host(circuits.clone())
        .layer(service_fn(|_: Request<B>| ready(Ok::<_, Infallible>(()))));
    service.oneshot(request).await.unwrap();
    circuits
}

/// Returns the key of the circuit that a request goes through.
async fn key<B>(request: Request<B>) -> String {
    let name = send(request).await.list()[0].1.name().to_owned();
    name.strip_prefix("api/").unwrap().to_owned()
}

#[tokio::test]
async fn the_host_and_port_are_those_of_the_uri() {
    let long = |n| format!("http://{}/", "x".repeat(n));
    for (uri, expected) in [
        ("http://example.com/", "example.com:80"),
        ("https://example.com/path?query", "example.com:443"),
        ("ws://example.com/", "example.com:80"),
        ("wss://example.com/", "example.com:443"),
        ("http://example.com:80/", "example.com:80"),
        ("http://example.com:8080/", "example.com:8080"),
        ("https://example.com:80/", "example.com:80"),
        ("HTTP://EXAMPLE.Com/Path", "example.com:80"),
        ("http://shard12/", "shard12:80"),
        ("http://12/", "12:80"),
        ("http://user@example.com/", "example.com:80"),
        ("http://user:secret@example.com:81/", "example.com:81"),
        ("http://127.0.0.1:3000/", "127.0.0.1:3000"),
        ("http://[::1]/", "[::1]:80"),
        ("https://[2001:DB8::1]/", "[2001:db8::1]:443"),
        ("http://user@[::1]:8080/", "[::1]:8080"),
        ("http://example.com:65535/", "example.com:65535"),
        ("http://example.com:65536/", "-"),
        ("example.com:443", "example.com:443"), // the target of CONNECT
        ("other://example.com/", "example.com"),
        ("/path", "-"),
        ("*", "-"),
        (&long(255), &format!("{}:80", "x".repeat(255))),
        (&long(256), "-"),
    ] {
        assert_eq!(key(Request::get(uri).body(()).unwrap()).await, expected, "{uri}");
    }
}

#[tokio::test]
async fn a_uri_without_an_authority_leaves_it_to_the_host_header() {
    for (host, expected) in [
        ("Example.com", "example.com"),
        ("example.com:8080", "example.com:8080"),
        ("example.com:", "example.com"),
        ("[::1]:8080", "[::1]:8080"),
        ("[::1]", "[::1]"),
        ("", "-"),
        (":80", "-"),
        ("h\u{f6}st", "-"),
        ("a~host", "a~host"),
        ("not^a^host", "-"),
    ] {
        let header = http::HeaderValue::from_bytes(host.as_bytes()).unwrap();
        let request = Request::get("/path").header(HOST, header).body(()).unwrap();
        assert_eq!(key(request).await, expected, "{host}");
    }
}

#[tokio::test]
async fn the_uri_takes_precedence_over_the_host_header() {
    let request = Request::get("http://a.example/").header(HOST, "b.example").body(()).unwrap();
    assert_eq!(key(request).await, "a.example:80");
}

#[tokio::test]
async fn a_key_from_text_is_the_key_of_the_requests() {
    for (uri, text) in [
        ("http://example.com/", "example.com:80"),
        ("http://Example.COM/", "EXAMPLE.com:80"),
        (
            "https://a-host-with-a-longer-name.example.com/",
            "A-HOST-with-a-longer-name.example.com:443",
        ),
        ("http://x:81/", "X:81"),
        ("http://[::1]/", "[::1]:80"),
        ("example.com", "example.com"),
        ("/", ""),
        ("/", "example.com:port:99999"),
        ("/", "not{a}host"),
    ] {
        let circuits = send(Request::get(uri).body(()).unwrap()).await;
        assert!(circuits.get(&HostPort::from(text)).is_some(), "{text} is {uri}");
    }
}

proptest! {
    #[test]
    fn hosts_that_differ_only_in_case_have_one_circuit(
        host in "[a-zA-Z0-9.-]{1,40}",
        other in "[a-zA-Z0-9.-]{1,40}",
    ) {
        let circuits = builder().build().unwrap();
        for key in [&*host, &*host.to_uppercase(), &*other] {
            circuits.get_or_create(&HostPort::from(key));
        }
        let same = host.eq_ignore_ascii_case(&other);
        prop_assert_eq!(circuits.len(), if same { 1 } else { 2 });
    }
}
