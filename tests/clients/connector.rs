//! A breaker around the connections of a `reqwest::Client`, added with `ClientBuilder::connector_layer`.

use std::future::pending;
use std::sync::Arc;

use axum::Router;
use reqwest::dns::{Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder};
use tokio::time::timeout;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, ServiceBuilder};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, RejectReason, Rejected, State,
};

use crate::backend::{Backend, DeadPort};
use crate::{
    HOUR, SOON, breaker, breaker_that_counts_abandoned_calls, causes, let_a_probe_through,
    recorded, rejection,
};

fn plain() -> ClientBuilder {
    Client::builder().no_proxy()
}

/// Adds a breaker around the connector that is configured so far. reqwest requires boxed errors of it.
fn protect(client: ClientBuilder, breaker: &CircuitBreaker) -> ClientBuilder {
    let layer = ServiceBuilder::new()
        .map_err(|error: CircuitBreakerError<BoxError>| BoxError::from(error))
        .layer(CircuitBreakerLayer::new(breaker.clone()));
    client.connector_layer(layer)
}

#[tokio::test]
async fn refused_connections_trip_and_requests_then_fail_fast() {
    let (breaker, port) = (breaker(), DeadPort::new());
    let client = protect(plain(), &breaker).build().unwrap();
    let url = port.url();

    for _ in 0..2 {
        let error = client.get(&url).send().await.unwrap_err();
        assert!(error.is_connect());
        assert!(rejection(&error).is_none());
    }
    assert_eq!(breaker.state(), State::Open);

    let listener = port.come_to_life();
    let hello = Router::new().fallback(|| async { "hello" });
    tokio::spawn(async { axum::serve(listener, hello).await });
    for _ in 0..5 {
        let error = client.get(&url).send().await.unwrap_err();
        assert_eq!(rejection(&error).unwrap().reason(), RejectReason::Open);
    }

    let_a_probe_through(&breaker);
    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "hello");
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_rejection_is_a_connect_error_and_the_last_of_its_causes() {
    let breaker = breaker();
    let client = protect(plain(), &breaker).build().unwrap();
    breaker.trip();
    let error = client.get(DeadPort::new().url()).send().await.unwrap_err();
    assert!(error.is_connect());
    assert!(!error.is_timeout());
    assert!(causes(&error).last().unwrap().is::<Rejected>());
}

#[tokio::test]
async fn existing_connections_are_used_while_the_circuit_is_open() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let client = protect(plain(), &breaker).build().unwrap();
    client.get(backend.url()).send().await.unwrap().bytes().await.unwrap();
    breaker.trip();
    let again = async {
        // It takes a moment until the connection is back in the pool.
        while client.get(backend.url()).send().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(HOUR, again).await.unwrap();
    assert_eq!(backend.hits(), 2);

    let without_a_pool = protect(plain(), &breaker).pool_max_idle_per_host(0).build().unwrap();
    let error = without_a_pool.get(backend.url()).send().await.unwrap_err();
    assert!(rejection(&error).is_some());
}

#[tokio::test]
async fn the_responses_of_the_server_do_not_matter() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let client = protect(plain(), &breaker).pool_max_idle_per_host(0).build().unwrap();
    backend.answers(http::StatusCode::INTERNAL_SERVER_ERROR);
    for calls in 1..=5 {
        client.get(backend.url()).send().await.unwrap();
        assert_eq!(recorded(&breaker), (calls, 0));
    }
}

/// A name resolver that never answers, so that connecting hangs.
struct Silent;

impl Resolve for Silent {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn a_connection_that_hangs_is_a_failure_with_a_timeout_inside() {
    let breaker = breaker();
    let with_timeout =
        plain().dns_resolver(Arc::new(Silent)).connector_layer(TimeoutLayer::new(SOON));
    let client = protect(with_timeout, &breaker).build().unwrap();
    for _ in 0..2 {
        let error = client.get("http://example.com/").send().await.unwrap_err();
        assert!(error.is_timeout() && rejection(&error).is_none(), "{error:?}");
    }
    let error = client.get("http://example.com/").send().await.unwrap_err();
    assert!(rejection(&error).is_some());
}

#[tokio::test]
async fn the_connect_timeout_of_the_client_is_outside() {
    let neutral = breaker();
    let failed = breaker_that_counts_abandoned_calls();
    for breaker in [&neutral, &failed] {
        let client = plain().dns_resolver(Arc::new(Silent)).connect_timeout(SOON);
        let client = protect(client, breaker).build().unwrap();
        for _ in 0..2 {
            let error = client.get("http://example.com/").send().await.unwrap_err();
            assert!(error.is_timeout());
        }
    }
    assert_eq!(neutral.state(), State::Closed);
    assert_eq!(failed.state(), State::Open);
}
