//! Common clients and servers on loopback sockets, each with a circuit breaker.
//!
//! These tests run on the real clock, so they do not depend on it. An open circuit stays open, and a test
//! makes the next call a probe by hand.

#![cfg(all(feature = "http", feature = "grpc", feature = "keyed"))]

mod axum_server;
mod backend;
mod connector;
mod hyper_client;
mod layers;
mod proxy;
mod reqwest_client;
mod streams;
mod tonic_client;
mod tower_reqwest_client;

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use http::StatusCode;
use tower::BoxError;
use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, HalfOpen, RejectReason, Rejected, State,
};

use crate::backend::Backend;

const HOUR: Duration = Duration::from_secs(3600);

/// For timeouts that are meant to expire.
const SOON: Duration = Duration::from_millis(20);

/// A circuit that trips at the second consecutive failure, stays open, and closes after one probe. It also
/// counts calls.
fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("backend")
        .consecutive_failures(2)
        .failure_rate_threshold(1.0)
        .minimum_calls(1000)
        .open_duration(HOUR)
        .half_open(HalfOpen::consecutive_successes(1))
        .probe_timeout(HOUR)
}

fn breaker() -> CircuitBreaker {
    builder().build().unwrap()
}

/// A breaker that counts every dropped call as a failure, for tests with a timeout outside.
fn breaker_that_counts_abandoned_calls() -> CircuitBreaker {
    builder().abandoned_after(Duration::from_nanos(1)).build().unwrap()
}

/// Ends the wait of an open circuit, so that the next call is a probe.
fn let_a_probe_through(breaker: &CircuitBreaker) {
    assert_eq!(breaker.state(), State::Open);
    breaker.force_open();
    breaker.resume();
}

/// Returns how many calls were recorded, and how many of them as failures.
fn recorded(breaker: &CircuitBreaker) -> (u64, u64) {
    let snapshot = breaker.snapshot();
    (snapshot.calls(), snapshot.failures())
}

/// Returns an error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// Returns the rejection that an error is or was caused by.
fn rejection<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Rejected> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn is_rejected<T>(result: &Result<T, BoxError>) -> bool {
    matches!(result, Err(error) if rejection(&**error).is_some())
}

/// Runs a client through an outage. Its circuit trips after two failures and sends nothing while it is open.
/// It opens again if a probe fails, and closes if one succeeds.
async fn survives_an_outage(
    breaker: &CircuitBreaker,
    backend: &Backend,
    mut ask: impl AsyncFnMut() -> Result<StatusCode, BoxError>,
) {
    backend.answers(StatusCode::OK);
    assert_eq!(ask().await.unwrap(), StatusCode::OK);

    backend.answers(StatusCode::SERVICE_UNAVAILABLE);
    for _ in 0..2 {
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(ask().await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    }
    for _ in 0..5 {
        let error = ask().await.unwrap_err();
        let rejected = rejection(&*error).expect("a rejection");
        assert_eq!(rejected.reason(), RejectReason::Open);
        assert!(rejected.retry_after().unwrap() <= HOUR);
    }
    assert_eq!(backend.hits(), 3);

    let_a_probe_through(breaker);
    assert_eq!(ask().await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(is_rejected(&ask().await), "the probe has failed");
    assert_eq!(backend.hits(), 4);

    backend.answers(StatusCode::NOT_FOUND); // a healthy server answers this
    let_a_probe_through(breaker);
    for _ in 0..3 {
        assert_eq!(ask().await.unwrap(), StatusCode::NOT_FOUND);
        assert_eq!(breaker.state(), State::Closed);
    }
    assert_eq!(backend.hits(), 7);
}
