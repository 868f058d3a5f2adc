//! How HTTP responses are classified, with hand-made bodies on a paused clock and on real sockets.
//!
//! Tests on the real clock do not depend on it, because an open circuit stays open.

#![cfg(all(feature = "http", feature = "grpc", feature = "tower-http"))]

mod allocations;
mod broken_bodies;
mod pass_through;
mod probes;
mod retry_after;
mod scripted;
mod servers;
mod slow_until;
mod stalled_bodies;
mod statuses;
mod unavailable;
mod whole_bodies;

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use tower::{BoxError, Service, ServiceExt};
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, HalfOpen};

const HOUR: Duration = Duration::from_secs(3600);

type RequestBody = http_body_util::Empty<Bytes>;

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

/// A breaker whose next call is a probe.
fn half_open() -> CircuitBreaker {
    let breaker = breaker();
    breaker.force_open();
    breaker.resume();
    breaker
}

/// Returns how many calls were recorded, and how many of them as failures.
fn recorded(breaker: &CircuitBreaker) -> (u64, u64) {
    let snapshot = breaker.snapshot();
    (snapshot.calls(), snapshot.failures())
}

/// Sends a request.
async fn send<S>(service: &mut S, request: Request<RequestBody>) -> Result<S::Response, S::Error>
where
    S: Service<Request<RequestBody>>,
{
    service.ready().await?.call(request).await
}

/// Sends a request and reads the response to its end.
async fn fetch<S, B>(
    service: &mut S,
    request: Request<RequestBody>,
) -> Result<(StatusCode, Bytes), BoxError>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body<Error: Into<BoxError>>,
{
    let response = send(service, request).await.map_err(Into::into)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(Into::into)?;
    Ok((status, body.to_bytes()))
}
