//! Which host and port a request belongs to.

use std::convert::Infallible;
use std::future::ready;

use http::Request;
use http::header::HOST;
use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::keyed::KeyedLayer;

use crate::builder;

/// The key of the circuit that a request goes through.
async fn key<B>(request: Request<B>) -> String {
    let circuits = builder().build().unwrap();
    let service = KeyedLayer::by_host(circuits.clone())
        .layer(service_fn(|_: Request<B>| ready(Ok::<_, Infallible>(()))));
    service.oneshot(request).await.unwrap();
    let name = circuits.list()[0].name().to_owned();
    name.strip_prefix("api/").unwrap().to_owned()
}

#[tokio::test]
async fn host_and_port_are_those_of_the_uri() {
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
        ("http://user@example.com/", "example.com:80"),
        ("http://user:secret@example.com:81/", "example.com:81"),
        ("http://127.0.0.1:3000/", "127.0.0.1:3000"),
        ("http://[::1]/", "[::1]:80"),
        ("https://[2001:DB8::1]/", "[2001:db8::1]:443"),
        ("http://user@[::1]:8080/", "[::1]:8080"),
        ("example.com:443", "example.com:443"), // as CONNECT asks
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
async fn without_an_authority_the_host_header_counts() {
    for (host, expected) in [
        ("Example.com", "example.com"),
        ("example.com:8080", "example.com:8080"),
        ("example.com:", "example.com"),
        ("[::1]:8080", "[::1]:8080"),
        ("[::1]", "[::1]"),
        ("", "-"),
        (":80", "-"),
        ("h\u{f6}st", "-"),
    ] {
        let header = http::HeaderValue::from_bytes(host.as_bytes()).unwrap();
        let request = Request::get("/path").header(HOST, header).body(()).unwrap();
        assert_eq!(key(request).await, expected, "{host}");
    }
}

#[tokio::test]
async fn the_uri_goes_before_the_host_header() {
    let request = Request::get("http://a.example/").header(HOST, "b.example").body(()).unwrap();
    assert_eq!(key(request).await, "a.example:80");
}
