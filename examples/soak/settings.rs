//! The settings of all circuits. They are as short as they are so that much happens in a minute.

use std::time::Duration;

use tower_breaker::{Backoff, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, SlidingWindow};

/// The places of a half-open period.
pub(crate) const PROBES: u64 = 3;
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_millis(400);
/// The longest open period: the maximum of the backoff with its jitter, or what a server may ask for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(300);
/// After this time an attempt has failed.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(150);
/// How long a call that is dropped must have lasted to count as a failure.
pub(crate) const ABANDONED_AFTER: Duration = Duration::from_millis(140);

/// Before the numbered circuits differ.
pub(crate) fn builder(name: &str, circuit: usize) -> CircuitBreakerBuilder {
    let wait = Backoff::exponential(Duration::from_millis(50), LONGEST_WAIT / 6 * 5).jitter(0.2);
    let builder = CircuitBreaker::builder(name)
        .open_duration(wait)
        .probe_timeout(PROBE_TIMEOUT)
        .max_retry_after(LONGEST_WAIT);
    let probes = PROBES as u32;
    // All kinds of rules and windows; the half-open rule that fits.
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
