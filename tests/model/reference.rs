//! A naive model of a circuit breaker, written from the specification. It keeps lists of calls, counts them
//! whenever it needs a number, and stores nothing that it could compute. Time is the number of nanoseconds since
//! creation.

use std::time::Duration;

use tower_breaker::{Cause, RejectReason, State};

use crate::settings::{Nanos, Probes, Settings, Wait, Window};

/// A slow and simple circuit breaker.
#[derive(Debug)]
pub(crate) struct Model {
    settings: Settings,
    now: Nanos,
    phase: Phase,
    /// The number of the current period. A result counts only in the period that admitted its call.
    period: usize,
    /// How many calls have been admitted, which gives each of them a number.
    admitted: usize,
    /// The open periods since the circuit was last closed.
    opened: u32,
    history: Vec<Change>,
}

#[derive(Debug)]
enum Phase {
    Closed { calls: Vec<Call>, forced: bool },
    Open { since: Nanos, wait: Nanos, shown: Counts },
    HalfOpen { in_flight: Vec<Ticket>, reported: Vec<Call> },
    ForcedOpen { shown: Counts },
}

/// A recorded call.
#[derive(Debug, Clone, Copy)]
struct Call {
    completed: Nanos,
    failed: bool,
    slow: bool,
}

/// An admitted call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ticket {
    number: usize,
    period: usize,
    admitted: Nanos,
}

/// How an admitted call ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ending {
    Success,
    Failure,
    /// A failure with a retry-after.
    FailureRetryAfter(Duration),
    Ignored,
    Dropped,
    /// The call never ends. Its permit is leaked, as by a call that hangs.
    Never,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) calls: usize,
    pub(crate) failures: usize,
    pub(crate) slow_calls: usize,
    pub(crate) consecutive_failures: usize,
}

/// What a user can see of a circuit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    pub(crate) state: State,
    pub(crate) counts: Counts,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_call_rate: Option<f64>,
    pub(crate) retry_after: Option<Nanos>,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) cause: Cause,
    pub(crate) at: Nanos,
    pub(crate) open_duration: Option<Nanos>,
    pub(crate) attempt: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) reason: RejectReason,
    pub(crate) retry_after: Option<Nanos>,
}

// ---- calls, time and operators --------------------------------------------------------------

impl Model {
    pub(crate) fn new(settings: Settings) -> Self {
        let phase = Phase::Closed { calls: Vec::new(), forced: false };
        Self { settings, now: 0, phase, period: 0, admitted: 0, opened: 0, history: Vec::new() }
    }

    /// Lets time pass. This is the only method that does, so it also finds probes that have timed out.
    pub(crate) fn advance(&mut self, by: Nanos) {
        self.now += by;
        let Some(deadline) = self.first_deadline() else { return };
        if deadline <= self.now {
            let reported = self.counts();
            let shown = Counts {
                calls: reported.calls + 1,
                failures: reported.failures + 1,
                slow_calls: reported.slow_calls,
                consecutive_failures: reported.consecutive_failures + 1,
            };
            self.open(deadline, 0, shown, Cause::ProbeTimedOut);
        }
    }

    pub(crate) fn try_acquire(&mut self) -> Result<Ticket, Refusal> {
        if let Phase::Open { since, wait, .. } = self.phase {
            if self.now >= since + wait {
                self.half_open(Cause::WaitOver);
            }
        }
        if let Some(reason) = self.refusal() {
            return Err(Refusal { reason, retry_after: self.retry_after() });
        }
        self.admitted += 1;
        let ticket = Ticket { number: self.admitted, period: self.period, admitted: self.now };
        if let Phase::HalfOpen { in_flight, .. } = &mut self.phase {
            in_flight.push(ticket);
        }
        Ok(ticket)
    }

    pub(crate) fn settle(&mut self, ticket: Ticket, ending: Ending) {
        if ticket.period != self.period || ending == Ending::Never {
            return;
        }
        let elapsed = self.now - ticket.admitted;
        if let Phase::HalfOpen { in_flight, .. } = &mut self.phase {
            in_flight.retain(|probe| *probe != ticket);
        }
        if let Some(failed) = self.verdict(ending, elapsed) {
            let slow = self.settings.slow_duration.is_some_and(|d| elapsed >= d.as_nanos());
            self.record(Call { completed: self.now, failed, slow }, self.requested_wait(ending));
        }
    }

    pub(crate) fn trip(&mut self) {
        match self.phase {
            Phase::Closed { forced: false, .. } | Phase::HalfOpen { .. } => {
                self.open(self.now, 0, self.counts(), Cause::Trip);
            }
            _ => {}
        }
    }

    pub(crate) fn reset(&mut self) {
        match self.phase {
            Phase::ForcedOpen { .. } => {
                self.opened = 0;
                self.phase = Phase::ForcedOpen { shown: Counts::default() };
            }
            Phase::Closed { forced, .. } => self.close(forced, Cause::Reset),
            _ => self.close(false, Cause::Reset),
        }
    }

    pub(crate) fn force_open(&mut self) {
        if !matches!(self.phase, Phase::ForcedOpen { .. }) {
            let shown = self.counts();
            self.enter(Phase::ForcedOpen { shown }, self.now, Cause::ForceOpen, None);
        }
    }

    pub(crate) fn force_closed(&mut self) {
        match &mut self.phase {
            Phase::Closed { forced, .. } => *forced = true,
            _ => self.close(true, Cause::ForceClosed),
        }
    }

    pub(crate) fn resume(&mut self) {
        match &mut self.phase {
            Phase::Closed { forced, .. } => *forced = false,
            Phase::ForcedOpen { .. } => self.half_open(Cause::Resume),
            _ => {}
        }
    }

    /// Whether a call that ended like this has failed, or `None` if it is not counted.
    fn verdict(&self, ending: Ending, elapsed: Nanos) -> Option<bool> {
        match (ending, self.settings.abandoned_after) {
            (Ending::Success, _) => Some(false),
            (Ending::Failure | Ending::FailureRetryAfter(_), _) => Some(true),
            (Ending::Dropped, Some(d)) if elapsed >= d.as_nanos() => Some(true),
            (Ending::Ignored | Ending::Dropped | Ending::Never, _) => None,
        }
    }

    /// The shortest time for which the circuit stays open if it opens on this result.
    fn requested_wait(&self, ending: Ending) -> Nanos {
        match ending {
            Ending::FailureRetryAfter(wait) => wait.as_nanos().min(self.settings.max_retry_after()),
            _ => 0,
        }
    }

    fn record(&mut self, call: Call, requested: Nanos) {
        let rule = self.settings.half_open();
        let slow_fails = self.settings.slow_rate.is_some();
        match (&mut self.phase, rule) {
            (Phase::Closed { calls, .. }, _) => calls.push(call),
            (Phase::HalfOpen { reported, .. }, Probes::Sample(_)) => reported.push(call),
            (Phase::HalfOpen { reported, .. }, Probes::ConsecutiveSuccesses(_)) => {
                let failed = call.failed || (slow_fails && call.slow);
                reported.push(Call { failed, ..call });
            }
            (Phase::Open { .. } | Phase::ForcedOpen { .. }, _) => {
                unreachable!("these states admit no call")
            }
        }
        self.judge(call, requested);
    }

    fn judge(&mut self, call: Call, requested: Nanos) {
        let counts = self.counts();
        let trips_on_request = self.settings.trip_on_retry_after && requested > 0;
        let cause = match (&self.phase, self.settings.half_open()) {
            (Phase::Closed { forced: false, .. }, _) => self.trip_rule(counts, trips_on_request),
            (Phase::HalfOpen { .. }, Probes::ConsecutiveSuccesses(_)) if call.failed => {
                Some(Cause::ProbeFailed)
            }
            (Phase::HalfOpen { .. }, Probes::ConsecutiveSuccesses(_)) if counts.failures > 0 => {
                Some(Cause::ProbeSlow)
            }
            (Phase::HalfOpen { .. }, Probes::Sample(_)) if trips_on_request => {
                Some(Cause::RetryAfter)
            }
            (Phase::HalfOpen { .. }, Probes::Sample(n)) if counts.calls == n as usize => {
                self.rate_rule(counts)
            }
            _ => None,
        };
        if let Some(cause) = cause {
            self.open(self.now, requested, counts, cause);
        } else if matches!(self.phase, Phase::HalfOpen { .. })
            && counts.calls == self.settings.half_open().count()
        {
            self.close(false, Cause::ProbesSucceeded);
        }
    }

    fn enter(&mut self, phase: Phase, at: Nanos, cause: Cause, wait: Option<Nanos>) {
        let from = self.state();
        self.phase = phase;
        self.period += 1;
        let (to, attempt) = (self.state(), wait.map(|_| self.opened));
        if (from, to) != (State::Closed, State::Closed) {
            self.history.push(Change { from, to, cause, at, open_duration: wait, attempt });
        }
    }

    fn close(&mut self, forced: bool, cause: Cause) {
        self.opened = 0;
        self.enter(Phase::Closed { calls: Vec::new(), forced }, self.now, cause, None);
    }

    fn open(&mut self, since: Nanos, requested: Nanos, shown: Counts, cause: Cause) {
        let wait = self.next_wait().max(requested);
        self.opened += 1;
        self.enter(Phase::Open { since, wait, shown }, since, cause, Some(wait));
    }

    fn half_open(&mut self, cause: Cause) {
        let phase = Phase::HalfOpen { in_flight: Vec::new(), reported: Vec::new() };
        self.enter(phase, self.now, cause, None);
    }
}

// ---- reading --------------------------------------------------------------------------------

impl Model {
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    pub(crate) fn look(&self) -> Look {
        let counts = self.counts();
        Look {
            state: self.state(),
            counts,
            failure_rate: self.rate(counts.failures, counts.calls),
            slow_call_rate: self.rate(counts.slow_calls, counts.calls),
            retry_after: self.retry_after(),
        }
    }

    /// Returns the last transitions, oldest first.
    pub(crate) fn history(&self) -> &[Change] {
        &self.history[self.history.len().saturating_sub(8)..]
    }

    /// Returns when the oldest probe in flight times out.
    pub(crate) fn first_deadline(&self) -> Option<Nanos> {
        let Phase::HalfOpen { in_flight, .. } = &self.phase else { return None };
        in_flight.iter().map(|probe| probe.admitted + self.settings.probe_timeout()).min()
    }

    /// Returns when the next call leaves the time window.
    pub(crate) fn next_expiry(&self) -> Option<Nanos> {
        let (Phase::Closed { calls, .. }, Window::Time { .. }) =
            (&self.phase, self.settings.window())
        else {
            return None;
        };
        let (step, buckets) = grid(&self.settings);
        let oldest = *self.in_window(calls).first()?;
        Some((oldest.completed / step + buckets) * step)
    }

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } | Phase::ForcedOpen { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    fn counts(&self) -> Counts {
        match &self.phase {
            Phase::Closed { calls, .. } => count(&self.in_window(calls), calls),
            Phase::HalfOpen { reported, .. } => count(reported, reported),
            Phase::Open { shown, .. } | Phase::ForcedOpen { shown } => *shown,
        }
    }

    fn in_window(&self, calls: &[Call]) -> Vec<Call> {
        if self.failure_rate_threshold().is_none() && self.settings.slow_rate.is_none() {
            return Vec::new();
        }
        let calls = calls.iter().copied();
        match self.settings.window() {
            Window::Count(n) => calls.rev().take(n as usize).collect(),
            Window::Time { .. } => calls.filter(|call| self.is_recent(call.completed)).collect(),
        }
    }

    fn is_recent(&self, completed: Nanos) -> bool {
        let (step, buckets) = grid(&self.settings);
        self.now / step - completed / step < buckets
    }

    fn refusal(&self) -> Option<RejectReason> {
        match self.phase {
            Phase::Closed { .. } => None,
            Phase::Open { .. } => Some(RejectReason::Open),
            Phase::ForcedOpen { .. } => Some(RejectReason::ForcedOpen),
            Phase::HalfOpen { .. } => (!self.has_free_slot()).then_some(RejectReason::HalfOpen),
        }
    }

    /// A probe that has reported keeps its slot. With consecutive successes, a failed one ends the period.
    fn has_free_slot(&self) -> bool {
        let Phase::HalfOpen { in_flight, reported } = &self.phase else { return false };
        in_flight.len() + reported.len() < self.settings.half_open().count()
    }

    fn retry_after(&self) -> Option<Nanos> {
        match self.phase {
            Phase::Closed { .. } | Phase::ForcedOpen { .. } => None,
            Phase::Open { since, wait, .. } => Some((since + wait).saturating_sub(self.now)),
            Phase::HalfOpen { .. } if self.has_free_slot() => Some(0),
            Phase::HalfOpen { .. } => {
                self.first_deadline().map(|deadline| deadline + self.next_wait() - self.now)
            }
        }
    }

    fn trip_rule(&self, counts: Counts, trips_on_request: bool) -> Option<Cause> {
        let streak = counts.consecutive_failures;
        if self.streak_threshold().is_some_and(|n| streak >= n as usize) {
            Some(Cause::ConsecutiveFailures { failures: streak as u64 })
        } else if trips_on_request {
            Some(Cause::RetryAfter)
        } else if counts.calls >= self.minimum_calls() {
            self.rate_rule(counts)
        } else {
            None
        }
    }

    fn rate_rule(&self, counts: Counts) -> Option<Cause> {
        let reaches = |part: usize, threshold: Option<f64>| {
            threshold.is_some_and(|threshold| part as f64 / counts.calls as f64 >= threshold)
        };
        let calls = counts.calls as u64;
        if reaches(counts.failures, self.failure_rate_threshold()) {
            Some(Cause::FailureRate { failures: counts.failures as u64, calls })
        } else if reaches(counts.slow_calls, self.settings.slow_rate) {
            Some(Cause::SlowCallRate { slow_calls: counts.slow_calls as u64, calls })
        } else {
            None
        }
    }

    fn streak_threshold(&self) -> Option<u32> {
        if self.settings.has_no_rule() { Some(5) } else { self.settings.consecutive_failures }
    }

    fn failure_rate_threshold(&self) -> Option<f64> {
        if self.settings.has_no_rule() { Some(0.5) } else { self.settings.failure_rate }
    }

    fn minimum_calls(&self) -> usize {
        let minimum = self.settings.minimum_calls.unwrap_or(20);
        match self.settings.window() {
            Window::Count(n) => minimum.min(n) as usize,
            Window::Time { .. } => minimum as usize,
        }
    }

    fn rate(&self, part: usize, calls: usize) -> Option<f64> {
        (calls >= self.minimum_calls()).then(|| part as f64 / calls as f64)
    }

    /// Returns the length of the next open period.
    fn next_wait(&self) -> Nanos {
        let Wait::Growing { initial, max, factor } = self.settings.wait else {
            return self.settings.wait.longest();
        };
        let (initial, max) = (initial.as_nanos(), max.as_nanos());
        let mut wait = initial as f64;
        for _ in 0..self.opened {
            wait *= factor.unwrap_or(2.0);
        }
        if self.opened == 0 {
            initial
        } else if wait >= max as f64 {
            max
        } else {
            wait.round() as Nanos
        }
    }
}

/// Returns the length of a bucket of the time window and the number of buckets. A count window has no buckets,
/// and the result means nothing.
pub(crate) fn grid(settings: &Settings) -> (Nanos, Nanos) {
    match settings.window() {
        Window::Count(_) => (1, 1),
        Window::Time { length, buckets } => {
            let buckets = Nanos::from(buckets.unwrap_or(10));
            (length.as_nanos().div_ceil(buckets), buckets)
        }
    }
}

/// The rates are counted in the window. A failure streak may be longer than the window.
fn count(window: &[Call], all: &[Call]) -> Counts {
    Counts {
        calls: window.len(),
        failures: window.iter().filter(|call| call.failed).count(),
        slow_calls: window.iter().filter(|call| call.slow).count(),
        consecutive_failures: all.iter().rev().take_while(|call| call.failed).count(),
    }
}
