//! `CircuitBreakerLayer::fallback`, which answers rejected calls.

mod answers;
mod effects;
mod types;

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerError, CircuitBreakerLayer, Fallback,
    HalfOpen, Rejected,
};

const SECOND: Duration = Duration::from_secs(1);

/// Trips on the first failure, stays open for a second, and closes after one successful probe.
fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test")
        .consecutive_failures(1)
        .open_duration(SECOND)
        .half_open(HalfOpen::consecutive_successes(1))
}

fn breaker() -> CircuitBreaker {
    sensitive().build().unwrap()
}

fn layer(breaker: &CircuitBreaker) -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(breaker.clone())
}

/// A request that is not `Clone`.
#[derive(Debug, PartialEq)]
struct Order(String);

fn order(what: &str) -> Order {
    Order(what.into())
}

type Error = CircuitBreakerError<&'static str>;

/// What the breaker protects. It answers with what was ordered, or fails.
async fn shop(Order(what): Order) -> Result<String, &'static str> {
    if what == "fail" { Err("failed") } else { Ok(format!("the shop's {what}")) }
}

/// Answers with the reason of the rejection.
#[expect(clippy::needless_pass_by_value, reason = "a fallback owns what it gets")]
fn reason(_: Order, rejected: Rejected) -> Ready<Result<String, Error>> {
    ready(Ok(format!("{:?}", rejected.reason())))
}

/// Counts how often it is asked.
#[derive(Clone, Default)]
struct Asked(Arc<AtomicU32>);

impl Asked {
    fn times(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<Request, E> Fallback<Request, String, E> for Asked {
    type Future = Ready<Result<String, CircuitBreakerError<E>>>;

    fn answer(&self, _: Request, _: Rejected) -> Self::Future {
        self.0.fetch_add(1, Ordering::Relaxed);
        ready(Ok("instead".into()))
    }
}
