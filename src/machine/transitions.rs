//! Entering a state.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::forgetting::ClosedTime;
use super::retry_after::RetryAfter;
use super::{Cause, Change, Machine, Nanos, Occurrence, Opening, Phase, State, Tally, Tick};

impl Machine {
    /// Opens the circuit at `since`.
    pub(super) fn enter_open(&mut self, since: Tick, tally: Tally, cause: Cause) {
        self.forget_attempts(since);
        let wait = self.next_wait(since);
        self.attempts = self.attempts.saturating_add(1);
        self.openings += 1;
        let until = since.saturating_add(wait);
        let opening =
            Opening { wait, attempt: self.attempts, in_flight: tally.in_flight.max(tally.hung) };
        self.enter(Phase::Open { until, tally }, since, cause, Some(opening));
    }

    pub(super) fn enter_half_open(&mut self, at: Tick, cause: Cause) {
        let tally = Tally::default();
        self.enter(Phase::HalfOpen { tally }, at, cause, None);
    }

    pub(super) fn enter_closed(&mut self, at: Tick, cause: Cause) {
        if cause == Cause::Reset {
            self.attempts = 0;
        }
        self.begin_closed_time(at);
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.enter(Phase::Closed { ticket, streak: 0 }, at, cause, None);
    }

    /// The circuit is closed from now on.
    pub(super) fn begin_closed_time(&mut self, at: Tick) {
        if self.rules.open_duration.forget_after.is_zero() {
            self.attempts = 0;
        }
        self.closed_time = ClosedTime::start(at);
        if self.is_forced() {
            self.closed_time.stop(at);
        }
        self.late_success = 0;
        self.end_suspicion();
    }

    pub(super) fn enter(&mut self, phase: Phase, at: Tick, cause: Cause, opening: Option<Opening>) {
        let from = self.state();
        self.begin_period(phase);
        self.note_change(from, at, cause, opening);
    }

    /// Begins a period, in which nothing has been counted.
    pub(super) fn begin_period(&mut self, phase: Phase) {
        if self.closed_ticket().is_some() {
            self.outage = self.last_ticket;
        }
        self.phase = phase;
        self.ramp = None;
        self.probes.clear();
        if let Some(calls) = &mut self.calls_in_flight {
            calls.clear();
        }
        if let Some(window) = &mut self.window {
            window.clear();
        }
        // While the circuit is open, the retry-after tells how much of its wait the callee has asked for.
        if self.state() != State::Open {
            self.retry_after = RetryAfter::default();
        }
    }

    pub(super) fn note_change(
        &mut self,
        from: State,
        at: Tick,
        cause: Cause,
        opening: Option<Opening>,
    ) {
        let to = self.state();
        // Resetting a closed circuit begins a new period, but it does not change the state.
        if (from, to) != (State::Closed, State::Closed) {
            (self.since, self.cause) = (at, Some(cause));
            let enforcement = self.rules.enforcement;
            let change = Change { from, to, cause, at, opening, enforcement };
            self.occurrences.push(Occurrence::Changed(change));
        }
    }

    /// Returns how long the circuit would stay open if it opened at `since`: as long as the backoff says, or
    /// as the callee has asked for, whichever is longer.
    pub(super) fn next_wait(&self, since: Tick) -> Nanos {
        self.wait_of(since, self.attempts, self.openings)
    }

    /// Returns how long the circuit stays open if it opened at `since`, after so many attempts and openings.
    pub(super) fn wait_of(&self, since: Tick, attempts: u32, openings: u64) -> Nanos {
        let wait = self.rules.open_duration.wait(attempts, self.draw(openings));
        wait.max(self.retry_after.wait(since))
    }

    /// Returns a number from 0.0 to 1.0 that is drawn anew for each open period.
    pub(super) fn draw(&self, openings: u64) -> f64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, openings).hash(&mut hasher);
        hasher.finish() as f64 / u64::MAX as f64
    }
}
