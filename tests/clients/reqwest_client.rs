//! `reqwest::Client` without an adapter: a service from `reqwest::Request` to `reqwest::Response`.

use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use http::StatusCode;
use reqwest::{Client, Method, Request, Response};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::http::retry_after;
use tower_breaker::{CircuitBreakerLayer, Outcome, State};

use crate::backend::{Backend, DeadPort, End, HalfBody, LENGTH, serve};
use crate::{HOUR, SOON, breaker, builder, is_rejected, recorded, rejection, survives_an_outage};

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// A classifier for reqwest's own types.
fn outcome(result: Result<&Response, &reqwest::Error>) -> Outcome {
    match result {
        Ok(response) if response.status().is_server_error() => Outcome::Failure,
        Ok(_) => Outcome::Success,
        Err(error) if error.is_builder() => Outcome::Ignored, // not the fault of the server
        Err(_) => Outcome::Failure,
    }
}

/// The same classifier, which also honours `Retry-After`.
fn outcome_with_retry_after(result: Result<&Response, &reqwest::Error>) -> Outcome {
    match (outcome(result), result) {
        (Outcome::Failure, Ok(response)) => match retry_after(response.headers()) {
            Some(wait) => Outcome::FailureRetryAfter(wait),
            None => Outcome::Failure,
        },
        (outcome, _) => outcome,
    }
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, url.parse().unwrap())
}

async fn send<S>(service: &mut S, url: &str) -> Result<Response, BoxError>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    let response = service.ready().await.map_err(Into::into)?.call(get(url));
    response.await.map_err(Into::into)
}

#[tokio::test]
async fn an_outage() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(outcome);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    survives_an_outage(&breaker, &backend, async || {
        Ok(send(&mut client, &backend.url()).await?.status())
    })
    .await;
}

/// Returns how long the third caller has to wait after two responses with a `Retry-After` of two hours.
/// Without it, the circuit would be open for one hour.
async fn wait_after_retry_after(
    classifier: fn(Result<&Response, &reqwest::Error>) -> Outcome,
) -> Duration {
    let backend = Backend::start().await;
    backend.is_busy_for("7200");
    let breaker = builder().max_retry_after(2 * HOUR).build().unwrap();
    let layer = CircuitBreakerLayer::new(breaker).classifier(classifier);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    for _ in 0..2 {
        let status = send(&mut client, &backend.url()).await.unwrap().status();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let error = send(&mut client, &backend.url()).await.unwrap_err();
    rejection(&*error).unwrap().retry_after().unwrap()
}

#[tokio::test]
async fn retry_after_is_honoured_by_a_function_that_returns_it() {
    assert!(wait_after_retry_after(outcome).await <= HOUR);
    assert!(wait_after_retry_after(outcome_with_retry_after).await > HOUR);
}

#[tokio::test]
async fn refused_connections() {
    let (breaker, port) = (breaker(), DeadPort::new());
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(outcome);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    for _ in 0..2 {
        let error = send(&mut client, &port.url()).await.unwrap_err();
        assert!(error.downcast::<reqwest::Error>().unwrap().is_connect());
    }
    assert!(is_rejected(&send(&mut client, &port.url()).await));
}

#[tokio::test]
async fn a_server_that_does_not_answer_with_the_timeout_of_the_client() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    backend.falls_silent();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(outcome);
    let client = Client::builder().no_proxy().timeout(SOON).build().unwrap();
    let mut client = ServiceBuilder::new().layer(layer).service(client);
    for _ in 0..2 {
        let error = send(&mut client, &backend.url()).await.unwrap_err();
        assert!(error.downcast::<reqwest::Error>().unwrap().is_timeout());
    }
    for _ in 0..5 {
        assert!(is_rejected(&send(&mut client, &backend.url()).await));
    }
    assert!(backend.hits() <= 2);
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_not_counted_against_the_server() {
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(outcome);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    for _ in 0..5 {
        let error = send(&mut client, "mailto:nobody@example.com").await.unwrap_err();
        assert!(error.downcast::<reqwest::Error>().unwrap().is_builder());
    }
    assert_eq!(recorded(&breaker), (0, 0));
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_redirect_that_fails_is_a_failure_of_the_call() {
    let (breaker, dead) = (breaker(), DeadPort::new());
    let elsewhere = dead.url();
    let redirect = Router::new().fallback(async move || Redirect::temporary(&elsewhere));
    let url = format!("http://{}/", serve(redirect).await);
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(outcome);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    for _ in 0..2 {
        let error = send(&mut client, &url).await.unwrap_err();
        assert!(error.downcast::<reqwest::Error>().unwrap().is_connect());
    }
    assert_eq!(breaker.state(), State::Open, "although the first server is healthy");
}

#[tokio::test]
async fn a_body_that_fails_goes_unnoticed() {
    let (breaker, server) = (breaker(), HalfBody::start(LENGTH, End::Closed).await);
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(outcome);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    for calls in 1..=5 {
        let response = send(&mut client, &server.url()).await.unwrap();
        server.close();
        response.bytes().await.unwrap_err();
        assert_eq!(recorded(&breaker), (calls, 0));
    }
}
