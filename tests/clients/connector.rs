//! The breaker around the connections of a `reqwest::Client`, by `ClientBuilder::connector_layer`.

use axum::Router;
use reqwest::{Client, ClientBuilder};
use tower::{BoxError, ServiceBuilder};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, RejectReason, State,
};

use crate::backend::{Backend, DeadPort};
use crate::{breaker, causes, let_a_probe_through, recorded, rejection};

/// reqwest wants boxed errors of a connector.
fn builder(breaker: &CircuitBreaker) -> ClientBuilder {
    let layer = ServiceBuilder::new()
        .map_err(|error: CircuitBreakerError<BoxError>| BoxError::from(error))
        .layer(CircuitBreakerLayer::new(breaker.clone()));
    Client::builder().no_proxy().connector_layer(layer.into_inner())
}

#[tokio::test]
async fn refused_connections_trip_and_requests_then_fail_fast() {
    let (breaker, port) = (breaker(), DeadPort::new());
    let client = builder(&breaker).build().unwrap();
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
async fn a_rejection_is_a_connect_error_whose_third_cause_is_the_rejection() {
    let breaker = breaker();
    let client = builder(&breaker).build().unwrap();
    breaker.trip();
    let error = client.get(DeadPort::new().url()).send().await.unwrap_err();
    assert!(error.is_connect());
    assert!(!error.is_timeout());
    let causes: Vec<_> = causes(&error).collect();
    assert!(causes[0].is::<reqwest::Error>());
    assert!(causes[1].is::<hyper_util::client::legacy::Error>());
    assert!(causes[2].is::<tower_breaker::Rejected>());
    assert_eq!(causes.len(), 3);
}

#[tokio::test]
async fn connections_that_live_are_used_while_it_is_open() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let client = builder(&breaker).build().unwrap();
    client.get(backend.url()).send().await.unwrap().bytes().await.unwrap();
    breaker.trip();
    client.get(backend.url()).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(backend.hits(), 2);

    let without_a_pool = builder(&breaker).pool_max_idle_per_host(0).build().unwrap();
    let error = without_a_pool.get(backend.url()).send().await.unwrap_err();
    assert!(rejection(&error).is_some());
}

#[tokio::test]
async fn what_a_server_answers_does_not_matter_there() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let client = builder(&breaker).pool_max_idle_per_host(0).build().unwrap();
    backend.answers(http::StatusCode::INTERNAL_SERVER_ERROR);
    for calls in 1..=5 {
        client.get(backend.url()).send().await.unwrap();
        assert_eq!(recorded(&breaker), (calls, 0));
    }
}
