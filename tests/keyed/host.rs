//! The host and port by which the circuit of a request is picked.

use std::convert::Infallible;
use std::future::ready;
use std::hash::{Hash, Hasher};

use http::Request;
use http::header::{HOST, HeaderValue};
use http::uri::Authority;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use reqwest::Url;
use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::keyed::{HostPort, KeyedLayer};

use crate::builder;

/// Returns the key of the circuit that a request goes through.
async fn key<B>(request: Request<B>) -> HostPort {
    let circuits = builder().build().unwrap();
    let service = KeyedLayer::by_host(circuits.clone())
        .layer(service_fn(|_: Request<B>| ready(Ok::<_, Infallible>(()))));
    service.oneshot(request).await.unwrap();
    let (key, breaker) = circuits.list().remove(0);
    assert_eq!(breaker.name(), format!("api/{key}"));
    key
}

/// Returns the key of a request whose URI has no authority, with these `Host` headers.
async fn key_of_headers(hosts: &[&[u8]]) -> HostPort {
    let mut request = Request::get("/path").body(()).unwrap();
    for host in hosts {
        request.headers_mut().append(HOST, HeaderValue::from_bytes(host).unwrap());
    }
    key(request).await
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
        ("http://example.com./", "example.com:80"),
        ("http://user@example.com.:81/", "example.com:81"),
        ("http://example.com:/", "example.com:80"),
        ("http://example.com:080/", "example.com:80"),
        ("http://example.com:0/", "example.com:0"),
        ("http://a_name-~!$&'()*+,;=/", "a_name-~!$&'()*+,;=:80"),
        ("/path", "-"),
        ("*", "-"),
        ("http://-/", "-"),
        ("http://./", "-"),
        ("http://example.com../", "-"),
        ("http://example.com:http/", "-"),
        ("http://[::1]example.com/", "-"),
        ("http://example.com[::1]/", "-"),
        ("http://[example.com]/", "-"),
        ("http://[::1%25eth0]/", "-"),
        (&long(255), &format!("{}:80", "x".repeat(255))),
        (&long(256), "-"),
    ] {
        let key = key(Request::get(uri).body(()).unwrap()).await;
        assert_eq!(key.to_string(), expected, "{uri}");
    }
}

#[tokio::test]
async fn a_uri_without_an_authority_leaves_it_to_the_host_header() {
    for (host, expected) in [
        ("Example.com", "example.com"),
        ("Example.com.", "example.com"),
        ("example.com:8080", "example.com:8080"),
        ("example.com.:8080", "example.com:8080"),
        ("example.com:", "example.com"),
        ("[::1]:8080", "[::1]:8080"),
        ("[::1]", "[::1]"),
        ("a~host", "a~host"),
        ("caf%C3%A9.example", "caf%c3%a9.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("0x7f.1", "0x7f.1"),
    ] {
        assert_eq!(key_of_headers(&[host.as_bytes()]).await.to_string(), expected, "{host}");
    }
}

#[tokio::test]
async fn a_host_header_without_a_valid_host_names_no_host() {
    for host in [
        "",
        ".",
        "..",
        "-",
        ":80",
        "example.com:65536",
        "example.com:80:80",
        "example.com:http",
        "evil.example/@good.example",
        "user@good.example",
        "user:secret@good.example",
        "@good.example",
        "https://good.example",
        "good.example/",
        "good.example/path",
        "good.example?",
        "good.example#",
        "good.example\\@evil.example",
        "good.example, evil.example",
        "good.example evil.example",
        " good.example",
        "good.example\t",
        "good\t.example",
        "good.example..",
        "good.example%",
        "good.example%4",
        "good.example%zz",
        "h\u{f6}st",
        "not^a^host",
        "not`a`host",
        "not{a}host",
        "not|a|host",
        "not<a>host",
        "not\"a\"host",
        "::1",
        "[::1",
        "::1]",
        "[]",
        "[::1]]",
        "[[::1]]",
        "[::1]x",
        "[::1].",
        "[1.2.3.4]",
        "[v1.x]",
        "[::1%25eth0]",
    ] {
        assert_eq!(key_of_headers(&[host.as_bytes()]).await, HostPort::no_host(), "{host}");
        // Nor are they the key of another request.
        assert_eq!(HostPort::from(host).host(), uri_host(host).as_deref(), "{host}");
        let host_alone = host.strip_suffix(":80").unwrap_or(host);
        assert!(HostPort::new(host_alone, None).is_err(), "{host}");
    }
    assert_eq!(key_of_headers(&[b"good.\x80example"]).await, HostPort::no_host());
}

/// Returns the host of a valid authority with user information.
fn uri_host(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    authority.as_str().contains('@').then(|| authority.host().to_owned())
}

#[tokio::test]
async fn several_host_headers_name_no_host() {
    let hosts: [&[&[u8]]; 3] = [
        &[b"good.example", b"evil.example"],
        &[b"good.example", b"good.example"],
        &[b"good.example", b""],
    ];
    for hosts in hosts {
        assert_eq!(key_of_headers(hosts).await, HostPort::no_host(), "{hosts:?}");
    }
}

#[tokio::test]
async fn the_uri_takes_precedence_over_the_host_header() {
    let request = Request::get("http://a.example/").header(HOST, "b.example").body(()).unwrap();
    assert_eq!(key(request).await.to_string(), "a.example:80");
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
        ("http://user@x:81/", "user:secret@X:81"),
        ("http://example.com/", "example.com.:80"),
        ("example.com", "example.com"),
        ("/", "-"),
        ("/", ""),
        ("/", "example.com:port:99999"),
        ("/", "not{a}host"),
    ] {
        let key = key(Request::get(uri).body(()).unwrap()).await;
        assert_eq!(HostPort::from(text), key, "{text} is {uri}");
    }
}

#[test]
fn a_key_knows_its_host_and_port() {
    let key = HostPort::new("API.example.com.", 443).unwrap();
    assert_eq!((key.host(), key.port()), (Some("api.example.com"), Some(443)));
    assert_eq!(key, "api.example.com:443".into());
    let key = HostPort::new("[2001:DB8::1]", None).unwrap();
    assert_eq!((key.host(), key.port()), (Some("[2001:db8::1]"), None));
    assert_eq!((HostPort::no_host().host(), HostPort::no_host().port()), (None, None));
    assert_eq!(HostPort::no_host(), "".into());
}

#[test]
fn an_invalid_host_is_quoted_in_the_error() {
    let error = |host: &str| HostPort::new(host, 80).unwrap_err().to_string();
    let expected = "expected a name in ASCII, an IPv4 address or an IPv6 address in brackets, of up to \
                    255 bytes";
    assert_eq!(error("a b"), format!(r#""a b" is not a host: {expected}"#));
    assert_eq!(error("\n\u{1b}[31m"), format!(r#""\n\u{{1b}}[31m" is not a host: {expected}"#));
    let long = "\u{e9}".repeat(2048);
    assert_eq!(error(&long), format!("\"{}\"... is not a host: {expected}", "\u{e9}".repeat(100)));
}

/// Records what a key feeds to the hasher.
#[derive(Default)]
struct Recorded(Vec<u8>);

impl Hasher for Recorded {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("only what was written counts")
    }
}

fn hashed(key: &HostPort) -> Vec<u8> {
    let mut recorded = Recorded::default();
    key.hash(&mut recorded);
    recorded.0
}

/// Texts that are almost hosts.
fn almost_a_host() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-zA-Z0-9.-]{1,9}",
        4 => select(vec![
            "example.com", "EXAMPLE", "good", "127.0.0.1", "127.1", "0x7f", "1", "256", "017", ".", "..",
            "%", "%41", "%2e", "%2F", "%40", "%00", "[::1]", "[", "]", "::1", "[1::]", "::ffff:1.2.3.4",
            "@", "user@", "user:secret@", ":", ":80", ":0", ":080", ":65536", "/", "\\", "?", "#", "//",
            "https://", "http:", " ", "\t", "\n", "-", "_", "~", "!", "*", ",", ";", "=", "(", "^", "`",
            "{", "|", "}", "<", ">", "\"", "xn--", "xn--bcher-kva", "\u{e9}", "\u{3002}", "\u{ad}", "\u{2028}",
        ]).prop_map(str::to_owned),
        1 => "\\PC{1,3}",
    ];
    vec(part, 1..5).prop_map(|parts| parts.concat())
}

/// What the `url` crate takes the host and the port for, if it takes `http://{authority}/` for a URL.
fn by_url_crate(authority: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(&format!("http://{authority}/")).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_owned();
    Some((host, url.port_or_known_default()))
}

/// A key must not be the key of a host other than the one that the `url` crate finds in the same text. What
/// that crate rejects must not be the key of a host that it accepts.
fn check_against_url_crate(text: &str, key: &HostPort) -> Result<(), TestCaseError> {
    if let Some(host) = key.host() {
        let port = key.port().unwrap_or(80);
        prop_assert_eq!(by_url_crate(text), by_url_crate(&format!("{host}:{port}")), "{}", key);
    }
    Ok(())
}

proptest! {
    #[test]
    fn keys_mean_the_hosts_that_the_url_crate_finds(text in almost_a_host()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if HeaderValue::from_str(&text).is_ok() {
            let key = runtime.block_on(key_of_headers(&[text.as_bytes()]));
            check_against_url_crate(&text, &key)?;
        }
        if let Ok(request) = Request::get(format!("http://{text}/")).body(()) {
            check_against_url_crate(&text, &runtime.block_on(key(request)))?;
        }
        check_against_url_crate(&text, &HostPort::from(&*text))?;
        if let Ok(key) = HostPort::new(&text, None) {
            check_against_url_crate(&text, &key)?;
        }
    }

    #[test]
    fn a_key_is_printed_as_text_that_gives_the_same_key(text in almost_a_host()) {
        let key = HostPort::from(&*text);
        prop_assert_eq!(HostPort::from(&*key.to_string()), key);
    }

    #[test]
    fn different_keys_are_hashed_differently(
        hosts in vec("[a-cA-C.~_=-]{1,4}|[a-zA-Z0-9!-.~_=]{1,40}", 2),
        ports in [option::of(0..3_u16), option::of(0..3_u16)],
    ) {
        let keys: Vec<_> = std::iter::zip(&hosts, ports)
            .filter_map(|(host, port)| HostPort::new(host, port).ok())
            .collect();
        if let [one, other] = &keys[..] {
            let same_host = hosts[0].trim_end_matches('.')
                .eq_ignore_ascii_case(hosts[1].trim_end_matches('.'));
            prop_assert_eq!(one == other, same_host && ports[0] == ports[1]);
            prop_assert_eq!(hashed(one) == hashed(other), one == other);
        }
    }

    #[test]
    fn hosts_that_differ_only_in_case_have_one_circuit(
        host in "[a-zA-Z0-9.-]{1,40}",
        other in "[a-zA-Z0-9.-]{1,40}",
    ) {
        let circuits = builder().build().unwrap();
        for key in [&*host, &*host.to_uppercase(), &*other] {
            circuits.get_or_create(&HostPort::from(key));
        }
        // Text that is no host, such as `a..`, names no host.
        let name = |text: &str| {
            let is_host = HostPort::new(text, None).is_ok();
            is_host.then(|| text.trim_end_matches('.').to_ascii_lowercase())
        };
        let same = name(&host) == name(&other);
        prop_assert_eq!(circuits.len(), if same { 1 } else { 2 });
    }
}
