//! The settings of all circuits. All times are short, so that much happens in a minute.

use std::time::Duration;

use tower_breaker::{Backoff, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, SlidingWindow};

/// The probe slots of a half-open period.
pub(crate) const PROBES: u64 = 3;
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_millis(400);
/// Late successes extend the time of probes to at most this.
pub(crate) const LONGEST_PROBE: Duration = PROBE_TIMEOUT.saturating_mul(10);
/// The longest open period: the maximum of the backoff with its jitter, and the longest retry-after.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(300);
/// An attempt that takes this long has failed.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(150);
/// An abandoned call that took at least this long is a failure.
pub(crate) const ABANDONED_AFTER: Duration = Duration::from_millis(140);

/// Whether the half-open rule of the circuit with this number is a sample.
pub(crate) fn is_sample(circuit: usize) -> bool {
    circuit % 3 == 1
}

/// Creates the settings of the circuit with this number.
pub(crate) fn builder(name: &str, circuit: usize) -> CircuitBreakerBuilder {
    let wait = Backoff::exponential(Duration::from_millis(50), LONGEST_WAIT / 6 * 5).jitter(0.2);
    let builder = CircuitBreaker::builder(name)
        .open_duration(wait)
        .probe_timeout(PROBE_TIMEOUT)
        .max_retry_after(LONGEST_WAIT);
    let probes = PROBES as u32;
    // The circuits cover all kinds of rules, windows and half-open rules.
    match circuit % 3 {
        0 => builder.consecutive_failures(8).half_open(HalfOpen::consecutive_successes(probes)),
        1 => builder
            .failure_rate_threshold(0.5)
            .sliding_window(SlidingWindow::count(50))
            .half_open(HalfOpen::sample(probes)),
        _ => builder
            .consecutive_failures(20)
            .failure_rate_threshold(0.5)
            .sliding_window(SlidingWindow::time(Duration::from_millis(500)))
            .half_open(HalfOpen::consecutive_successes(probes)),
    }
}
