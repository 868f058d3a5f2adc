//! How long the callee has asked not to be called.

use super::time::{Nanos, Tick};
use super::{Backoff, Machine};

/// The retry-after of the current period that ends last. All zero if there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct RetryAfter {
    until: Tick,
    /// The time that is added to the wait, so that clients with the same retry-after do not return at once.
    stretch: Nanos,
}

impl RetryAfter {
    fn new(now: Tick, wait: Nanos, backoff: &Backoff, draw: f64) -> Self {
        Self { until: now.saturating_add(wait), stretch: backoff.stretch(wait, draw) }
    }

    /// Returns how long the callee is not to be called from `now` on, or 0 if the retry-after has passed.
    pub(super) fn wait(self, now: Tick) -> Nanos {
        match self.until.saturating_sub(now) {
            0 => 0,
            left => left.saturating_add(self.stretch),
        }
    }
}

impl Machine {
    /// Remembers the retry-after of a failure. It counts if the circuit opens before it has passed, whatever
    /// opens the circuit.
    pub(super) fn note_retry_after(&mut self, wait: Nanos) {
        if wait > 0 {
            let retry_after = RetryAfter::new(
                self.now,
                wait,
                &self.rules.open_duration,
                self.draw(self.openings),
            );
            if retry_after.until > self.retry_after.until {
                self.retry_after = retry_after;
            }
        }
    }
}
