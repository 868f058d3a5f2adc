//! Which requests are refused, and the headers of every response.

use http::Method;
use tower_breaker::State;

use super::*;

/// Sends a `POST` that would trip the circuit, with these headers.
async fn trip(headers: &[(&str, &str)]) -> (StatusCode, State) {
    let breaker = breaker("payments");
    let admin = AdminService::new().breaker(&breaker).operations(true);
    json(&admin, "/api/circuits").await;
    let mut request = Request::post("/api/circuits/1/trip");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = send(&admin, request.body(Body::empty()).unwrap()).await;
    (response.status(), breaker.state())
}

const JSON: (&str, &str) = ("content-type", "application/json");
const HOST: (&str, &str) = ("host", "admin.internal:9000");

#[tokio::test]
async fn what_this_page_sends_and_what_no_page_sends_is_let_in() {
    for headers in [
        &[JSON][..],
        &[("content-type", "Application/JSON; charset=utf-8")],
        &[JSON, ("sec-fetch-site", "same-origin")],
        &[JSON, ("sec-fetch-site", "none")],
        &[JSON, HOST, ("origin", "http://admin.internal:9000")],
        &[JSON, HOST, ("origin", "https://ADMIN.internal:9000")],
        // A browser that says both: the first decides, because a proxy may have changed the host.
        &[JSON, HOST, ("sec-fetch-site", "same-origin"), ("origin", "https://public.example.com")],
    ] {
        assert_eq!(trip(headers).await, (StatusCode::OK, State::Open), "{headers:?}");
    }
}

#[tokio::test]
async fn what_another_site_has_a_browser_send_is_refused() {
    for headers in [
        &[JSON, ("sec-fetch-site", "cross-site")][..],
        &[JSON, ("sec-fetch-site", "same-site")],
        &[JSON, ("sec-fetch-site", "")],
        &[JSON, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        &[JSON, HOST, ("sec-fetch-site", "cross-site"), ("origin", "http://admin.internal:9000")],
        &[JSON, HOST, ("origin", "http://evil.example.com")],
        &[JSON, HOST, ("origin", "http://admin.internal")],
        &[JSON, HOST, ("origin", "http://admin.internal:9001")],
        &[JSON, HOST, ("origin", "http://admin.internal:9000.evil.example.com")],
        &[
            JSON,
            HOST,
            ("origin", "http://admin.internal:9000"),
            ("origin", "http://evil.example.com"),
        ],
        &[JSON, HOST, ("origin", "null")],
        &[JSON, HOST, ("origin", "")],
        &[JSON, HOST, ("origin", "admin.internal:9000")],
        &[JSON, HOST, ("origin", "ftp://admin.internal:9000")],
        &[JSON, ("origin", "http://admin.internal:9000")], // no host to compare it with
    ] {
        assert_eq!(trip(headers).await, (StatusCode::FORBIDDEN, State::Closed), "{headers:?}");
    }
}

#[tokio::test]
async fn what_a_form_can_send_is_refused() {
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "multipart/form-data; boundary=application/json")],
        &[("content-type", "application/jsonx")],
        &[("content-type", "")],
    ] {
        let refused = (StatusCode::UNSUPPORTED_MEDIA_TYPE, State::Closed);
        assert_eq!(trip(headers).await, refused, "{headers:?}");
    }
}

#[tokio::test]
async fn a_service_that_only_looks_refuses_every_post() {
    let breaker = breaker("payments");
    let admin = AdminService::new().breaker(&breaker);
    json(&admin, "/api/circuits").await;
    for path in
        ["/", "/api/circuits/1/trip", "/api/circuits/1/nothing", "/api/circuits/9/reset", "/x"]
    {
        let (status, answer) = post(&admin, path, "{}").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(answer["error"], "this service only looks");
    }
    assert_eq!(breaker.state(), State::Closed);
    // Only this handle operates.
    let _operates = admin.clone().operations(true);
    assert_eq!(post(&admin, "/api/circuits/1/trip", "{}").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn other_methods_have_no_meaning() {
    let admin = AdminService::new().operations(true);
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        for path in ["/", "/api/circuits", "/api/circuits/1/trip", "/nowhere"] {
            let request = Request::builder().method(&method).uri(path);
            let response = send(&admin, request.body(Body::empty()).unwrap()).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert!(response.headers().contains_key("allow"));
        }
    }
    let (status, _) = (post(&admin, "/nowhere", "{}").await.0, ());
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_response_has_the_headers_that_protect_it() {
    let admin = AdminService::new().breaker(&breaker("payments"));
    for path in [
        "/",
        "/admin.js",
        "/admin.css",
        "/icon.svg",
        "/api/circuits",
        "/api/events",
        "/nowhere",
        "/?limit=0",
    ] {
        let response = get(&admin, path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-frame-options"), "DENY");
        let unwanted = |name: &str| name.starts_with("access-control") || name == "set-cookie";
        assert!(!response.headers().keys().any(|name| unwanted(name.as_str())), "{path}");
    }
    let put = Request::put("/").body(Body::empty()).unwrap();
    assert!(send(&admin, put).await.headers().contains_key("content-security-policy"));
}
