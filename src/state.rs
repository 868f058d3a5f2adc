//! The state machine, pure: it is told the time and never asks for it, it locks nothing, waits for
//! nothing and calls nobody. Everything about a circuit that is not speed is decided here.
//!
//! # Who may decide
//!
//! Every closed period has a number, and so has every probe; all come from one counter. The number
//! is the caller's ticket: a result counts if its ticket is the number of the present closed period,
//! or of a probe that is in flight. Leaving a state makes its tickets worthless at once, so a result
//! can never decide a period that did not admit the call.
//!
//! # What time does by itself
//!
//! Only one thing: when the oldest probe in flight has not reported within its time, the circuit is
//! open from that moment on. Everybody who comes later finds it so ([`Machine::advance`]), whether or
//! not anybody was there when it happened.

mod effect;
mod operate;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

pub(crate) use self::effect::Effect;
use crate::clock::{Nanos, Tick};
use crate::config::ProbeRule;
use crate::error::Refusal;
use crate::log::Results;
use crate::probes::Probes;
use crate::rules::Rules;
use crate::snapshot::{Snapshot, State, Tally};
use crate::transition::{Cause, Change, Opening};
use crate::window::Window;

/// What a caller was given: the number of its closed period or of its probe.
pub(crate) type Ticket = u64;

/// How a call was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Admission {
    Closed(Ticket),
    Probe(Ticket),
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Report {
    Success,
    Failure,
    /// A failure with the callee's wish to be left alone for so long.
    FailureRetryAfter(Nanos),
    Ignored,
    Abandoned,
}

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    rules: Rules,
    phase: Phase,
    /// An operator holds the phase, open or closed.
    forced: bool,
    window: Option<Window>,
    probes: Probes,
    last_ticket: Ticket,
    /// Open periods since it was last closed: what the backoff goes by.
    opened: u32,
    /// All open periods: what the jitter is drawn by, so that the next wait is known beforehand.
    openings: u64,
    seed: u64,
    /// The latest time that it has been told: threads may come with theirs out of order.
    now: Tick,
    /// Since when it has been in its state, and what brought it there.
    since: Tick,
    cause: Option<Cause>,
    changes: Vec<Change>,
    place_freed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    /// The calls are counted in the window.
    Closed { ticket: Ticket, run: u64 },
    /// With what was counted when it opened.
    Open { until: Tick, tally: Tally },
    /// With what the probes have reported.
    HalfOpen { tally: Tally },
}

impl Machine {
    /// A closed circuit that gives tickets after `last_ticket`. `seed` is for the jitter.
    pub(crate) fn new(rules: Rules, last_ticket: Ticket, seed: u64, now: Tick) -> Self {
        let ticket = last_ticket + 1;
        Self {
            rules,
            phase: Phase::Closed { ticket, run: 0 },
            forced: false,
            window: rules.window.map(|window| window.open(now)),
            probes: Probes::new(rules.half_open.probes(), rules.probe_timeout),
            last_ticket: ticket,
            opened: 0,
            openings: 0,
            seed,
            now,
            since: now,
            cause: None,
            changes: Vec::with_capacity(2),
            place_freed: false,
        }
    }

    // ---- what calls do ------------------------------------------------------------------------

    /// Admits a call or says why not.
    pub(crate) fn acquire(&mut self, now: Tick) -> Result<Admission, Refusal> {
        self.advance(now);
        match self.phase {
            Phase::Closed { ticket, .. } => Ok(Admission::Closed(ticket)),
            Phase::Open { until, .. } if self.now >= until && !self.forced => {
                self.enter_half_open(Cause::WaitOver);
                Ok(self.admit_probe())
            }
            Phase::HalfOpen { ref tally } if self.has_place(tally) => Ok(self.admit_probe()),
            Phase::Open { .. } | Phase::HalfOpen { .. } => Err(self.refusal()),
        }
    }

    /// Whether the ticket belongs to a probe in flight; until when, if so.
    pub(crate) fn lease(&mut self, now: Tick, ticket: Ticket) -> Option<Tick> {
        self.advance(now);
        self.probes.deadline(ticket)
    }

    /// Takes the result of a call that was admitted with `ticket` and began at `began`; drops it if
    /// the period that admitted it is over.
    ///
    /// Returns whether the period that admitted it was not over. The time is looked up only if it
    /// matters, since that is most of the cost.
    pub(crate) fn settle(
        &mut self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        // Before anything else, so that a permit that outlives its breaker cannot even tell the time
        // to the breaker that has its circuit now: a paused clock shows each runtime its own.
        if self.closed_ticket() != Some(ticket) && self.probes.deadline(ticket).is_none() {
            return false;
        }
        if self.time_matters() {
            self.advance(clock());
        }
        let took = self.now.saturating_sub(began);
        let at_least = |limit: Option<Nanos>| limit.is_some_and(|limit| took >= limit);
        let failed = match report {
            Report::Success => Some(false),
            Report::Failure | Report::FailureRetryAfter(_) => Some(true),
            Report::Abandoned if at_least(self.rules.abandoned_after) => Some(true),
            Report::Abandoned | Report::Ignored => None,
        };
        let slow = at_least(self.rules.slow_call_duration);
        let wish = match report {
            Report::FailureRetryAfter(wait) => wait.min(self.rules.max_retry_after),
            _ => 0,
        };
        if self.probes.remove(ticket) {
            match failed {
                Some(failed) => self.record_probe(failed, slow, wish),
                None => self.place_freed = true,
            }
            return true;
        }
        let is_current = self.closed_ticket() == Some(ticket);
        if let (true, Some(failed)) = (is_current, failed) {
            self.record(failed, slow, wish, clock);
        }
        is_current
    }

    /// Takes successes, none of them slow, of the present closed period that completed before anything
    /// else is told, if their [`Effect`] was merely to be counted.
    pub(crate) fn settle_successes(&mut self, n: u64) {
        if let Some(window) = &mut self.window {
            window.record_successes(n);
        }
    }

    /// Takes results, likewise, if their [`Effect`] was to be logged.
    pub(crate) fn settle_results(&mut self, results: Results) {
        if let Some(window) = &mut self.window {
            window.record_results(results);
        }
        if let Phase::Closed { run, .. } = &mut self.phase {
            let all_failed = results.run() == results.len();
            *run = u64::from(results.run()) + if all_failed { *run } else { 0 };
        }
        debug_assert!(self.forced || self.rules.judge(self.tally(self.now), 0).is_none());
    }

    // ---- what can be seen ---------------------------------------------------------------------

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    pub(crate) fn is_forced(&self) -> bool {
        self.forced
    }

    /// How it looks at `now`. Looking moves nothing: what time has done is looked up on a copy.
    pub(crate) fn snapshot(&self, now: Tick) -> Snapshot {
        let now = now.max(self.now);
        if self.lapsed(now).is_some() {
            let mut later = self.clone();
            later.advance(now);
            return later.snapshot(now);
        }
        let until = |at: Tick| Duration::from_nanos(at.saturating_sub(now));
        Snapshot {
            state: self.state(),
            is_forced: self.forced,
            age: Duration::from_nanos(now.saturating_sub(self.since)),
            cause: self.cause,
            tally: self.tally(now),
            rules: self.rules,
            opened: self.opened,
            retry_after: self.next_probe(now).map(until),
            probes_in_flight: self.probes.count(),
            next_probe_timeout: self.probes.first_deadline().map(until),
        }
    }

    /// The transition that time has made by `now`, if nobody has come to notice it.
    pub(crate) fn unnoticed(&self, now: Tick) -> Option<Change> {
        self.lapsed(now.max(self.now))?;
        let mut later = self.clone();
        later.advance(now);
        later.changes.pop()
    }

    /// The ticket that all calls of a closed period share.
    pub(crate) fn closed_ticket(&self) -> Option<Ticket> {
        match self.phase {
            Phase::Closed { ticket, .. } => Some(ticket),
            _ => None,
        }
    }

    /// When the wait is over, if it is open. It means nothing if it is forced.
    pub(crate) fn open_until(&self) -> Option<Tick> {
        match self.phase {
            Phase::Open { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Whether anything has happened since the changes were last taken that may interest those who
    /// wait.
    pub(crate) fn has_news(&self) -> bool {
        self.place_freed || !self.changes.is_empty()
    }

    /// The transitions since this was last asked.
    pub(crate) fn take_changes(&mut self) -> impl Iterator<Item = Change> + '_ {
        self.place_freed = false;
        self.changes.drain(..)
    }

    pub(crate) fn last_ticket(&self) -> Ticket {
        self.last_ticket
    }

    // ---- time ---------------------------------------------------------------------------------

    /// Moves on to `now`, unless it is there already, and the window with it.
    fn advance(&mut self, now: Tick) {
        self.now = self.now.max(now);
        if let Some(window) = &mut self.window {
            window.advance(self.now);
        }
        if let Some(deadline) = self.lapsed(self.now) {
            let mut tally = self.tally(deadline);
            tally.record(true, false);
            self.enter_open(deadline, 0, tally, Cause::ProbeTimedOut);
        }
    }

    /// Whether a result depends on when it comes.
    fn time_matters(&self) -> bool {
        let is_closed = matches!(self.phase, Phase::Closed { .. });
        let slides_by_time = matches!(self.window, Some(Window::Time(_)));
        !is_closed || slides_by_time || self.rules.times_calls()
    }

    /// When the oldest probe's time was over, if it was.
    pub(crate) fn lapsed(&self, now: Tick) -> Option<Tick> {
        self.probes.first_deadline().filter(|deadline| now >= *deadline)
    }

    /// The length of the next open period.
    fn wait(&self) -> Nanos {
        let mut hasher = DefaultHasher::new();
        (self.seed, self.openings).hash(&mut hasher);
        let draw = hasher.finish() as f64 / u64::MAX as f64;
        self.rules.open_duration.wait(self.opened, draw)
    }

    // ---- counting and judging -----------------------------------------------------------------

    /// `wish`: for how long the callee wants to be left alone.
    fn record(&mut self, failed: bool, slow: bool, wish: Nanos, clock: impl Fn() -> Tick) {
        if let Some(window) = &mut self.window {
            window.record(failed, slow);
        }
        if let Phase::Closed { run, .. } = &mut self.phase {
            *run = if failed { *run + 1 } else { 0 };
        }
        let tally = self.tally(self.now);
        let cause = self.rules.judge(tally, wish);
        if let (false, Some(cause)) = (self.forced, cause) {
            self.advance(clock());
            self.enter_open(self.now, wish, tally, cause);
        }
    }

    fn record_probe(&mut self, failed: bool, slow: bool, wish: Nanos) {
        let rule = self.rules.half_open;
        let too_slow = match rule {
            ProbeRule::ConsecutiveSuccesses(_) => slow && self.rules.slow_call_rate.is_some(),
            ProbeRule::Sample(_) => false, // the slow-call rate will tell
        };
        let Phase::HalfOpen { tally } = &mut self.phase else {
            return;
        };
        tally.record(failed || too_slow, slow);
        let tally = *tally;
        let reported = tally.counts.calls;
        match rule {
            ProbeRule::ConsecutiveSuccesses(_) if failed => {
                self.enter_open(self.now, wish, tally, Cause::ProbeFailed);
            }
            ProbeRule::ConsecutiveSuccesses(_) if too_slow => {
                self.enter_open(self.now, wish, tally, Cause::ProbeSlow);
            }
            ProbeRule::Sample(_) if self.rules.trips_on(wish) => {
                self.enter_open(self.now, wish, tally, Cause::RetryAfter);
            }
            ProbeRule::ConsecutiveSuccesses(n) | ProbeRule::Sample(n) if reported < n.into() => {}
            ProbeRule::ConsecutiveSuccesses(_) => self.enter_closed(Cause::ProbesSucceeded),
            ProbeRule::Sample(_) => match self.rules.judge_rates(tally.counts) {
                Some(cause) => self.enter_open(self.now, wish, tally, cause),
                None => self.enter_closed(Cause::ProbesSucceeded),
            },
        }
    }

    fn tally(&self, now: Tick) -> Tally {
        match self.phase {
            Phase::Closed { run, .. } => Tally {
                counts: self
                    .window
                    .as_ref()
                    .map(|window| window.counts_at(now))
                    .unwrap_or_default(),
                run,
            },
            Phase::Open { tally, .. } | Phase::HalfOpen { tally } => tally,
        }
    }

    // ---- probes -------------------------------------------------------------------------------

    /// Whether a probe may be admitted beside those in flight and those that have reported.
    fn has_place(&self, reported: &Tally) -> bool {
        self.probes.count() + reported.counts.calls < self.rules.half_open.probes().into()
    }

    fn admit_probe(&mut self) -> Admission {
        self.last_ticket += 1;
        self.probes.admit(self.last_ticket, self.now);
        Admission::Probe(self.last_ticket)
    }

    fn refusal(&self) -> Refusal {
        let until = self.next_probe(self.now).unwrap_or(self.now);
        match self.phase {
            Phase::Open { .. } if self.forced => Refusal::FORCED_OPEN,
            Phase::Open { .. } => Refusal::open(until),
            Phase::Closed { .. } | Phase::HalfOpen { .. } => Refusal::half_open(until),
        }
    }

    /// Until when no probe is admitted if nothing happens before: while half-open without a place,
    /// until the oldest probe's time and the open period after it are over.
    fn next_probe(&self, now: Tick) -> Option<Tick> {
        match self.phase {
            Phase::Closed { .. } => None,
            Phase::Open { .. } if self.forced => None,
            Phase::Open { until, .. } => Some(until),
            Phase::HalfOpen { ref tally } if self.has_place(tally) => Some(now),
            Phase::HalfOpen { .. } => {
                Some(self.probes.first_deadline().unwrap_or(now).saturating_add(self.wait()))
            }
        }
    }

    // ---- transitions --------------------------------------------------------------------------

    /// Opens it for the wait, and for no less than the callee's wish.
    fn enter_open(&mut self, since: Tick, wish: Nanos, tally: Tally, cause: Cause) {
        let wait = self.wait().max(wish);
        self.opened = self.opened.saturating_add(1);
        self.openings += 1;
        let until = since.saturating_add(wait);
        let opening = Opening { wait, attempt: self.opened };
        self.enter(Phase::Open { until, tally }, since, cause, Some(opening));
    }

    fn enter_half_open(&mut self, cause: Cause) {
        let tally = Tally::default();
        self.enter(Phase::HalfOpen { tally }, self.now, cause, None);
    }

    fn enter_closed(&mut self, cause: Cause) {
        self.opened = 0;
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if let Some(window) = &mut self.window {
            window.clear();
        }
        self.enter(Phase::Closed { ticket, run: 0 }, self.now, cause, None);
    }

    fn enter(&mut self, phase: Phase, at: Tick, cause: Cause, opening: Option<Opening>) {
        let from = self.state();
        self.phase = phase;
        self.probes.clear();
        let to = self.state();
        // A reset that finds it closed is no change of state, though it begins a new period.
        if (from, to) != (State::Closed, State::Closed) {
            (self.since, self.cause) = (at, Some(cause));
            self.changes.push(Change { from, to, cause, at, opening });
        }
    }
}

#[cfg(test)]
mod exhaustive;
#[cfg(test)]
mod tests;
