//! Which requests are let in, and the headers that every response has.

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};

use super::error::Error;

/// Only what the service itself serves is loaded, and nobody may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

pub(super) fn add_headers(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Decides by the head of a request.
pub(super) fn admit(request: &Parts, operations: bool) -> Result<(), Error> {
    match request.method {
        Method::GET | Method::HEAD => Ok(()),
        Method::POST => admit_operation(request, operations),
        _ => Err(Error::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "only `GET`, `HEAD` and `POST` have a meaning here",
        )),
    }
}

fn admit_operation(request: &Parts, operations: bool) -> Result<(), Error> {
    let forbidden = |error: &str| Err(Error::new(StatusCode::FORBIDDEN, error));
    if !operations {
        return forbidden("this service only looks");
    }
    if !is_from_here(request) {
        return forbidden("the request comes from another site");
    }
    // A form of another site cannot have this type, and a script has to ask first.
    let content_type = request.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = content_type.and_then(|value| value.split(|byte| *byte == b';').next());
    if !essence
        .is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"application/json"))
    {
        return Err(Error::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the `content-type` has to be `application/json`",
        ));
    }
    Ok(())
}

/// Whether the request comes from this page or from no page at all. Browsers say which.
fn is_from_here(request: &Parts) -> bool {
    let headers = &request.headers;
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return sites.all(|site| site == "same-origin" || site == "none");
    }
    let host = match request.uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => headers.get(header::HOST).map(HeaderValue::as_bytes),
    };
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.as_bytes();
        let scheme = [&b"http://"[..], b"https://"];
        let authority = scheme.iter().find_map(|scheme| origin.strip_prefix(*scheme));
        authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    })
}
