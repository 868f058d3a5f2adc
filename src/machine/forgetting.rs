//! How the backoff forgets earlier open periods while the circuit is closed.

use super::time::{Nanos, Tick, nanos};
use super::{Machine, State};

/// How long the circuit has been closed, without the time for which an operator has held it closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ClosedTime {
    before: Nanos,
    /// Since when time has been added to `before`, or `None` while it is not.
    since: Option<Tick>,
}

impl ClosedTime {
    pub(super) fn start(at: Tick) -> Self {
        Self { before: 0, since: Some(at) }
    }

    pub(super) fn stop(&mut self, now: Tick) {
        *self = Self { before: self.total(now), since: None };
    }

    pub(super) fn resume(&mut self, now: Tick) {
        self.since.get_or_insert(now);
    }

    pub(super) fn total(self, now: Tick) -> Nanos {
        let latest = self.since.map_or(0, |since| now.saturating_sub(since));
        self.before.saturating_add(latest)
    }
}

impl Machine {
    /// Forgets as many attempts as the closed period that ends at `at` was long. Does nothing unless the
    /// circuit is closed.
    pub(super) fn forget_attempts(&mut self, at: Tick) {
        if self.state() != State::Closed {
            return;
        }
        let backoff = &self.rules.open_duration;
        let forgotten = self.closed_time.total(at).checked_div(nanos(backoff.forget_after));
        match forgotten.map(|n| u32::try_from(n).unwrap_or(u32::MAX)) {
            None => self.attempts = 0, // it forgets at once
            Some(0) => {}
            // A long outage is not remembered for longer than its wait says.
            Some(n) => {
                self.attempts = self.attempts.min(backoff.attempts_to_max()).saturating_sub(n);
            }
        }
    }
}
