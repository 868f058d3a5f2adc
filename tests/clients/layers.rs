//! How the responses and errors of common layers are classified, both of layers inside the breaker and of
//! those of a server. Each test uses the real layer.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::DefaultBodyLimit;
use axum::response::IntoResponse;
use axum::routing::post;
use futures_util::stream::{self, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::load_shed::error::Overloaded;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::CircuitBreakerLayer;
use tower_breaker::http::HttpClassifier;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::DecompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::{ResponseBodyDeadlineLayer, ResponseBodyTimeoutLayer, TimeoutLayer};

use crate::backend::{listen, serve};
use crate::{SOON, breaker, recorded};

type HttpClient = Client<HttpConnector, Body>;

fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

fn request(url: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(url).body(body.into()).unwrap()
}

/// Makes one call through a breaker, to the end of the response. Returns the status, if there is one, and
/// how many calls and failures were recorded.
async fn call<S, B>(inner: S, request: Request<Body>) -> (Option<StatusCode>, (u64, u64))
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
{
    let breaker = breaker();
    let classifier = HttpClassifier::new().at_end_of_stream();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut status = None;
    if let Ok(response) = layer.layer(inner).oneshot(request).await {
        status = Some(response.status());
        let _ = response.into_body().collect().await;
    }
    (status, recorded(&breaker))
}

const FAILURE: (u64, u64) = (1, 1);
const SUCCESS: (u64, u64) = (1, 0);

// ---- layers inside ----------------------------------------------------------------------------

#[tokio::test]
async fn the_408_of_the_timeout_layer_of_tower_http_is_a_failure() {
    let (_listener, address) = listen().await; // only the kernel accepts connections
    let url = format!("http://{address}/");
    let layer = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, SOON);
    let timed = ServiceBuilder::new()
        .layer(layer)
        .map_response(|response: Response<Incoming>| response.map(Body::new))
        .service(client());
    let (status, recorded) = call(timed, request(&url, "")).await;
    assert_eq!(status, Some(StatusCode::REQUEST_TIMEOUT));
    assert_eq!(recorded, FAILURE);
}

#[tokio::test]
async fn the_errors_of_the_response_body_timeouts_of_tower_http_are_failures() {
    let half = || async {
        let half = stream::iter([Ok::<_, Infallible>("half")]).chain(stream::pending());
        Body::from_stream(half)
    };
    let url = format!("http://{}/", serve(Router::new().fallback(half)).await);
    let idle = ResponseBodyTimeoutLayer::new(SOON).layer(client());
    assert_eq!(call(idle, request(&url, "")).await, (Some(StatusCode::OK), FAILURE));
    let in_all = ResponseBodyDeadlineLayer::new(SOON).layer(client());
    assert_eq!(call(in_all, request(&url, "")).await, (Some(StatusCode::OK), FAILURE));
}

#[tokio::test]
async fn the_500_of_catch_panic_of_tower_http_is_a_failure() {
    async fn panics(_: Request<Body>) -> Result<Response<Body>, Infallible> {
        panic!("a panic")
    }
    let caught = CatchPanicLayer::new().layer(service_fn(panics));
    let (status, recorded) = call(caught, request("/", "")).await;
    assert_eq!(status, Some(StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(recorded, FAILURE);
}

#[tokio::test]
async fn a_body_that_decompression_of_tower_http_cannot_read_is_a_failure() {
    let garbage = || async { ([("content-encoding", "gzip")], "this is not gzip") };
    let url = format!("http://{}/", serve(Router::new().fallback(garbage)).await);
    let decompressed = DecompressionLayer::new().layer(client());
    assert_eq!(call(decompressed, request(&url, "")).await, (Some(StatusCode::OK), FAILURE));
}

#[tokio::test]
async fn the_413_of_the_request_body_limit_of_tower_http_is_a_success() {
    let limited = ServiceBuilder::new()
        .layer(RequestBodyLimitLayer::new(3))
        .map_request(|request: Request<tower_http::body::Limited<Body>>| request.map(Body::new))
        .service(client());
    let mut too_large = request("http://localhost/", "too large");
    too_large.headers_mut().insert("content-length", 9.into());
    let (status, recorded) = call(limited, too_large).await;
    assert_eq!(status, Some(StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(recorded, SUCCESS);
}

#[tokio::test]
async fn the_errors_of_timeout_and_load_shed_of_tower_are_failures() {
    let hangs = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, BoxError>>());
    let timed = ServiceBuilder::new().timeout(Duration::from_millis(1)).service(hangs);
    assert_eq!(call(timed, request("/", "")).await, (None, FAILURE));
    let full = ServiceBuilder::new().load_shed().concurrency_limit(0).service(hangs);
    assert_eq!(call(full, request("/", "")).await, (None, FAILURE));
}

// ---- servers ----------------------------------------------------------------------------------

/// The error handler of axum's documentation.
async fn handle_timeout_error(error: BoxError) -> StatusCode {
    match error {
        error if error.is::<tower::timeout::error::Elapsed>() => StatusCode::REQUEST_TIMEOUT,
        error if error.is::<Overloaded>() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[tokio::test]
async fn the_408_and_the_503_of_an_axum_server_that_is_too_slow_are_failures() {
    let handle = HandleErrorLayer::new(handle_timeout_error);
    let slow = Router::new().fallback(pending::<Infallible>);
    let timed = slow.clone().layer(ServiceBuilder::new().layer(handle.clone()).timeout(SOON));
    let url = format!("http://{}/", serve(timed).await);
    let (status, recorded) = call(client(), request(&url, "")).await;
    assert_eq!((status, recorded), (Some(StatusCode::REQUEST_TIMEOUT), FAILURE));

    let shed = ServiceBuilder::new().layer(handle).load_shed().concurrency_limit(0);
    let url = format!("http://{}/", serve(slow.layer(shed)).await);
    let (status, recorded) = call(client(), request(&url, "")).await;
    assert_eq!((status, recorded), (Some(StatusCode::SERVICE_UNAVAILABLE), FAILURE));
}

#[tokio::test]
async fn the_413_of_an_axum_server_is_a_success() {
    let read = post(|body: Bytes| async move { body.into_response() });
    let router = Router::new().route("/", read).layer(DefaultBodyLimit::max(3));
    let url = format!("http://{}/", serve(router).await);
    let (status, recorded) = call(client(), request(&url, "too large")).await;
    assert_eq!((status, recorded), (Some(StatusCode::PAYLOAD_TOO_LARGE), SUCCESS));
}
