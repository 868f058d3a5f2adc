//! `http::Unavailable`: a 503 for rejected calls.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Empty, Full};
use hyper::body::{Bytes, Incoming};
use tokio::time::advance;
use tower::retry::Policy;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::http::{HttpClassifier, ResponseBody, Unavailable};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Rejected};

use crate::servers::{get, http1_client, serve_bytes};
use crate::{breaker, builder, recorded};

/// Returns the response of a rejected call, for a service with this type of body.
async fn answer<B: Default>(breaker: &CircuitBreaker) -> Response<B> {
    let inner = service_fn(|()| ready(Ok::<Response<B>, Infallible>(Response::default())));
    let layer = CircuitBreakerLayer::new(breaker.clone()).fallback(Unavailable);
    layer.layer(inner).oneshot(()).await.unwrap()
}

async fn retry_after(breaker: &CircuitBreaker) -> Option<String> {
    let response = answer::<String>(breaker).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let value = response.headers().get("retry-after")?;
    Some(value.to_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_in_whole_seconds_rounded_up_and_at_least_one() {
    let breaker = builder().open_duration(Duration::from_secs(3)).build().unwrap();
    breaker.trip();
    assert_eq!(retry_after(&breaker).await.unwrap(), "3");
    for (millis, expected) in [(1, "3"), (998, "3"), (1, "2"), (1999, "1")] {
        advance(Duration::from_millis(millis)).await;
        assert_eq!(retry_after(&breaker).await.unwrap(), expected, "{millis} ms later");
    }
}

#[tokio::test]
async fn there_is_no_retry_after_if_the_circuit_is_forced_open() {
    let breaker = breaker();
    breaker.force_open();
    assert_eq!(retry_after(&breaker).await, None);
}

#[tokio::test]
async fn the_body_is_empty_for_all_common_types_of_bodies() {
    async fn is_empty<B: Body + Default>() -> bool {
        let breaker = breaker();
        breaker.trip();
        answer::<B>(&breaker).await.body().is_end_stream()
    }
    assert!(is_empty::<axum::body::Body>().await);
    assert!(is_empty::<reqwest::Body>().await);
    assert!(is_empty::<tonic::body::Body>().await);
    assert!(is_empty::<Empty<Bytes>>().await);
    assert!(is_empty::<Full<Bytes>>().await);
    assert!(is_empty::<String>().await);
    assert!(is_empty::<ResponseBody<Full<Bytes>>>().await);
}

#[tokio::test]
async fn it_works_for_a_client_of_hyper_whose_bodies_are_converted() {
    let breaker = breaker();
    let address = serve_bytes("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody").await;
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new().at_end_of_stream())
        .fallback(Unavailable);
    let client = ServiceBuilder::new()
        .layer(layer)
        .map_response(|response: Response<Incoming>| response.map(axum::body::Body::new))
        .service(http1_client());
    let response = client.clone().oneshot(get(address)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    drop(response);
    breaker.trip();
    let response = client.oneshot(get(address)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn it_can_be_converted_to_a_response_of_reqwest() {
    let breaker = breaker();
    breaker.trip();
    let rejected = breaker.try_acquire().unwrap_err();
    let response = reqwest::Response::from(Unavailable::response::<String>(rejected));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// Retries every 5xx that came from the server.
#[derive(Clone)]
struct Retries(u32);

type Answer = Result<Response<String>, CircuitBreakerError<Infallible>>;

impl Policy<Request<()>, Response<String>, CircuitBreakerError<Infallible>> for Retries {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<()>, answer: &mut Answer) -> Option<Ready<()>> {
        let response = answer.as_ref().ok()?;
        let is_rejected = response.extensions().get::<Rejected>().is_some();
        self.0 = self.0.checked_sub(1)?;
        (response.status().is_server_error() && !is_rejected).then(|| ready(()))
    }

    fn clone_request(&mut self, _: &Request<()>) -> Option<Request<()>> {
        Some(Request::new(()))
    }
}

#[tokio::test]
async fn a_retry_policy_outside_can_distinguish_it_from_a_503_of_the_server() {
    let breaker = breaker();
    let down = service_fn(|_: Request<()>| {
        let response = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
        ready(Ok::<_, Infallible>(response.body(String::new()).unwrap()))
    });
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new())
        .fallback(Unavailable);
    let client = ServiceBuilder::new().retry(Retries(10)).layer(layer).service(down);
    let response = client.oneshot(Request::new(())).await.unwrap();
    assert!(response.extensions().get::<Rejected>().is_some());
    assert_eq!(recorded(&breaker), (2, 2), "the third attempt was rejected, and was the last");
}
