//! The promises of the crate, one file for each, numbered as the behaviour is in the documentation:
//! every test is named after what it holds us to, and time is a paused clock.

mod backend;

mod operators;
mod p01_rules_and_defaults;
mod p02_judging;
mod p03_open;
mod p04_half_open;
mod p05_stale_results_never_decide;
mod p06_never_wedged;
mod p07_abandoned_calls;
mod p08_panics;
mod p09_backpressure;
mod p09_readiness;
mod p10_rejections_are_not_counted;
mod p11_user_code_runs_without_locks;
mod p12_configuration;

use std::time::Duration;

use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Permit};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Trips at the first failure, is open for a second, closes after one successful probe.
fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test")
        .consecutive_failures(1)
        .open_duration(SECOND)
        .half_open(HalfOpen::consecutive_successes(1))
}

fn permit(breaker: &CircuitBreaker) -> Permit {
    breaker.try_acquire().expect("the call should be admitted")
}

async fn advance(time: Duration) {
    tokio::time::advance(time).await;
}

/// Drives the circuit open, and lets the wait pass.
async fn until_half_open(breaker: &CircuitBreaker) {
    breaker.trip();
    let wait = breaker.snapshot().retry_after().expect("it is open");
    advance(wait).await;
}
