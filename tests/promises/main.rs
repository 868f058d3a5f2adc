//! The documented guarantees of the crate, one file for each. The name of a test is the guarantee that it
//! checks. All tests use a paused clock.

mod backend;

mod enforcement;
mod enforcement_as_a_layer;
mod forced_for_a_time;
mod hung;
mod operators;
mod p01_rules_and_defaults;
mod p02_judging;
mod p03_open;
mod p04_half_open;
mod p05_stale_results_never_decide;
mod p06_never_wedged;
mod p06_the_time_of_probes;
mod p07_abandoned_calls;
mod p08_panics;
mod p09_backpressure;
mod p09_readiness;
mod p10_rejections_are_not_counted;
mod p11_user_code_runs_without_locks;
mod p12_configuration;
mod ramp;
mod reconfigure;
mod remembered_backoff;
mod saved;
mod suspected;

use std::time::Duration;

use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Permit};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Trips on the first failure, stays open for a second, and closes after one successful probe.
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

/// Trips the circuit and lets its wait elapse, so that the next call is a probe.
async fn until_half_open(breaker: &CircuitBreaker) {
    breaker.trip();
    let wait = breaker.snapshot().retry_after().expect("the circuit is open");
    advance(wait).await;
}
