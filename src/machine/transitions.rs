//! Entering a state.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Cause, Change, Machine, Nanos, Opening, Phase, State, Tally, Tick};

impl Machine {
    /// Opens the circuit at `since` for the wait of the backoff, or for `retry_after` if that is longer.
    pub(super) fn enter_open(
        &mut self,
        since: Tick,
        retry_after: Nanos,
        tally: Tally,
        cause: Cause,
    ) {
        let wait = self.next_wait().max(retry_after);
        self.attempts = self.attempts.saturating_add(1);
        self.openings += 1;
        let until = since.saturating_add(wait);
        let opening = Opening { wait, attempt: self.attempts };
        self.enter(Phase::Open { until, tally }, since, cause, Some(opening));
    }

    pub(super) fn enter_half_open(&mut self, cause: Cause) {
        let tally = Tally::default();
        self.enter(Phase::HalfOpen { tally }, self.now, cause, None);
    }

    pub(super) fn enter_closed(&mut self, cause: Cause) {
        self.attempts = 0;
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if let Some(window) = &mut self.window {
            window.clear();
        }
        self.enter(Phase::Closed { ticket, streak: 0 }, self.now, cause, None);
    }

    pub(super) fn enter(&mut self, phase: Phase, at: Tick, cause: Cause, opening: Option<Opening>) {
        let from = self.state();
        self.phase = phase;
        self.probes.clear();
        let to = self.state();
        // Resetting a closed circuit begins a new period, but it does not change the state.
        if (from, to) != (State::Closed, State::Closed) {
            (self.since, self.cause) = (at, Some(cause));
            self.changes.push(Change { from, to, cause, at, opening });
        }
    }

    /// Returns the length of the next open period.
    pub(super) fn next_wait(&self) -> Nanos {
        let mut hasher = DefaultHasher::new();
        (self.seed, self.openings).hash(&mut hasher);
        let draw = hasher.finish() as f64 / u64::MAX as f64;
        self.rules.open_duration.wait(self.attempts, draw)
    }
}
