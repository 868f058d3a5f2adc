//! Clients and servers as their users have them, on loopback sockets, each with its circuit breaker.
//!
//! The clock is a real one, so nothing depends on it: a circuit that is open stays open, and is
//! brought to its next probe by hand.

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

/// For timeouts that are to come to pass.
const SOON: Duration = Duration::from_millis(20);

/// Trips at the second failure in a row, stays open, closes after one probe. It also counts calls.
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

/// A breaker to which a call that is dropped has failed, as a timeout outside needs it.
fn breaker_that_counts_abandoned_calls() -> CircuitBreaker {
    builder().abandoned_after(Duration::from_nanos(1)).build().unwrap()
}

/// Ends the wait of an open circuit: the next call is a probe.
fn let_a_probe_through(breaker: &CircuitBreaker) {
    assert_eq!(breaker.state(), State::Open);
    breaker.force_open();
    breaker.resume();
}

/// How many calls were recorded, and how many of them as failures.
fn recorded(breaker: &CircuitBreaker) -> (u64, u64) {
    let snapshot = breaker.snapshot();
    (snapshot.calls(), snapshot.failures())
}

/// An error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// The rejection that an error is or was caused by.
fn rejection<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Rejected> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn is_rejected<T>(result: &Result<T, BoxError>) -> bool {
    matches!(result, Err(error) if rejection(&**error).is_some())
}

/// An outage and its end, as the users of a client see it: it trips after two failures, asks
/// nobody while it is open, opens again if a probe fails and closes if one succeeds.
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

    backend.answers(StatusCode::NOT_FOUND); // an answer of a healthy server
    let_a_probe_through(breaker);
    for _ in 0..3 {
        assert_eq!(ask().await.unwrap(), StatusCode::NOT_FOUND);
        assert_eq!(breaker.state(), State::Closed);
    }
    assert_eq!(backend.hits(), 7);
}
