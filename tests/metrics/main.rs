//! What breakers record through the `metrics` facade, as seen by the Prometheus exporter and a debugging recorder.
#![cfg(feature = "metrics")]

mod batches;
mod calls;
mod conservation;
mod exporters;
mod gauges;
mod http;
mod listeners;
mod recorders;
#[cfg(feature = "keyed")]
mod registry;
mod scrape;
mod series;
mod states;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Permit};

use crate::scrape::Scrape;

const SECOND: Duration = Duration::from_secs(1);
const STATE: &str = "circuit_breaker_state";
const STATE_SECONDS: &str = "circuit_breaker_state_seconds_total";
const TRANSITIONS: &str = "circuit_breaker_transitions_total";
const CALLS: &str = "circuit_breaker_calls_total";
const SLOW_CALLS: &str = "circuit_breaker_slow_calls_total";
const STALE_RESULTS: &str = "circuit_breaker_stale_results_total";
const REJECTIONS: &str = "circuit_breaker_rejections_total";
const WOULD_REJECT: &str = "circuit_breaker_would_reject_total";
const ENFORCEMENT: &str = "circuit_breaker_enforcement";
const ADMITTED_SHARE: &str = "circuit_breaker_admitted_share";
const CALLS_IN_FLIGHT: &str = "circuit_breaker_calls_in_flight";
const CALLS_OVERDUE: &str = "circuit_breaker_calls_overdue";
const CALL_DURATION: &str = "circuit_breaker_call_duration_seconds";

/// The recorder of the breakers that this thread builds.
struct Exporter {
    handle: PrometheusHandle,
    _recorder: LocalRecorderGuard<'static>,
    /// Lets one test run at a time. A refresh concerns all breakers of the process, and each test has a clock of
    /// its own.
    _alone: MutexGuard<'static, ()>,
}

impl Exporter {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let handle = recorder.handle();
        Self { handle, _recorder: metrics::set_default_local_recorder(recorder), _alone: alone }
    }

    fn scrape(&self) -> Scrape {
        Scrape::parse(&self.handle.render())
    }
}

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

fn of_test<'a>(labels: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("breaker", "test")], labels].concat()
}
