//! What is measured: an inner service that costs nothing, the circuits, and tower's own limit.

use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service};
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, SlidingWindow};

/// All other services are compared with this one.
pub const BASELINE: &str = "tower ConcurrencyLimit";

/// A service that is always ready and answers immediately.
#[derive(Debug, Clone, Copy)]
pub struct Inner {
    half_fails: bool,
}

/// Every call succeeds.
pub const INNER: Inner = Inner { half_fails: false };

/// Every second call fails.
pub const HALF_FAILS: Inner = Inner { half_fails: true };

impl Service<u32> for Inner {
    type Response = u32;
    type Error = ();
    type Future = Ready<Result<u32, ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u32) -> Self::Future {
        ready(if self.half_fails && n.is_multiple_of(2) { Err(()) } else { Ok(n) })
    }
}

/// Something that is done with one service after the other. It is a trait because every service has
/// a type of its own, and a closure cannot be generic.
pub trait Visitor {
    fn visit<S: Service<u32> + Clone + Send + 'static>(&mut self, name: &'static str, service: S);
}

/// Visits tower's limit and one service behind each kind of circuit.
pub fn visit_services(visitor: &mut impl Visitor) {
    visitor.visit(BASELINE, concurrency_limit());
    visitor.visit("consecutive failures", behind(&consecutive(), INNER));
    visitor.visit("count window of 100, healthy", behind(&count_window(100), INNER));
    let name = "count window of 100, half of the calls failing";
    visitor.visit(name, behind(&count_window(100), HALF_FAILS));
    visitor.visit("time window, healthy", behind(&time_window(), INNER));
    visitor.visit("time window, half of the calls failing", behind(&time_window(), HALF_FAILS));
    let name = "time window and slow calls, healthy";
    visitor.visit(name, behind(&time_window_and_slow_calls(), INNER));
    visitor.visit("calls in flight count, healthy", behind(&hung_after(), INNER));
    visitor.visit("rejection while open", behind(&open(), INNER));
}

pub fn concurrency_limit() -> impl Service<u32> + Clone + Send {
    ConcurrencyLimitLayer::new(1000).layer(INNER)
}

pub fn behind(breaker: &CircuitBreaker, inner: Inner) -> impl Service<u32> + Clone + Send + use<> {
    CircuitBreakerLayer::new(breaker.clone()).layer(inner)
}

pub fn build(builder: CircuitBreakerBuilder) -> CircuitBreaker {
    builder.build().expect("the settings are valid")
}

/// The settings of the cheapest circuit. For registries, too.
pub fn template() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("consecutive").consecutive_failures(5)
}

pub fn consecutive() -> CircuitBreaker {
    build(template())
}

/// Half of the calls may fail without tripping it.
pub fn count_window(calls: u32) -> CircuitBreaker {
    let builder = CircuitBreaker::builder("count").failure_rate_threshold(0.9);
    build(builder.sliding_window(SlidingWindow::count(calls)))
}

/// Half of the calls may fail without tripping it.
pub fn time_window() -> CircuitBreaker {
    build(CircuitBreaker::builder("time").failure_rate_threshold(0.9))
}

fn time_window_and_slow_calls() -> CircuitBreaker {
    build(
        CircuitBreaker::builder("slow")
            .failure_rate_threshold(0.9)
            .slow_call_rate_threshold(0.9)
            .slow_call_duration_threshold(Duration::from_secs(1)),
    )
}

fn hung_after() -> CircuitBreaker {
    build(template().hung_after(Duration::from_secs(2)))
}

pub fn open() -> CircuitBreaker {
    let breaker = build(CircuitBreaker::builder("open").open_duration(Duration::MAX));
    breaker.trip();
    breaker
}
