//! The state machine of a circuit: states, rules, windows, probes, backoff, causes.
//!
//! # What belongs here
//!
//! Every decision about a circuit, and nothing else. The machine is plain data with plain methods. It
//! receives the time as a number and never reads a clock. It takes no lock, does not wait, and calls no code
//! outside of this layer. So its states can be searched exhaustively and compared with a naive model.
//!
//! This layer imports nothing from the rest of the crate.
//!
//! # Where to start reading
//!
//! [`Machine::acquire`] decides whether a call is admitted, and [`Machine::settle`] takes its result. A
//! closed circuit trips in [`recording`], by the rules in [`rules`]. The calls that are in flight for too long are in
//! [`overdue`]. Then read [`transitions`] for
//! what happens on entering a state, and [`probing`] for the half-open state.
//!
//! # Whose results count
//!
//! Every closed period has a number and so has every probe, all drawn from one counter. This number is
//! the caller's ticket. A result counts if its ticket is the number of the current closed period or of a
//! probe in flight. Leaving a state invalidates its tickets at once, so a result never decides a period
//! that did not admit the call.
//!
//! # What time changes by itself
//!
//! Time changes three things. A probe that has not reported within its time has failed at that moment, and an idle
//! slot becomes free. An operator who holds the circuit for some time lets go of it when that time is over, and a
//! [`suspicion`] ends.
//! [`Machine::advance`] applies this before anything else is decided, so the result does not depend on when it is
//! noticed.

mod backoff;
mod calls_in_flight;
mod cause;
mod change;
mod counts;
mod deadlines;
mod effect;
mod forgetting;
mod half_open;
mod operate;
mod overdue;
mod packed;
mod probes;
mod probing;
mod progress;
mod ramp;
mod reconfigure;
mod recording;
mod refusal;
mod report;
mod results;
mod retry_after;
mod rules;
mod saved;
mod state;
mod suspicion;
mod time;
mod transitions;
mod view;
mod window;

use std::sync::Arc;

pub use self::backoff::Backoff;
pub use self::cause::Cause;
pub(crate) use self::change::{Change, EnforcementNote, Opening};
pub(crate) use self::deadlines::{Deadlines, MOST_YOUNG};
pub(crate) use self::effect::Effect;
pub use self::half_open::HalfOpen;
pub(crate) use self::half_open::ProbeRule;
pub use self::operate::OperatorAction;
pub(crate) use self::overdue::NextBucket;
pub(crate) use self::packed::Packed;
pub(crate) use self::progress::{count_progress, rate_progress};
pub use self::reconfigure::Reconfigured;
pub(crate) use self::refusal::Refusal;
pub use self::refusal::RejectReason;
pub(crate) use self::report::Report;
pub(crate) use self::results::Results;
pub(crate) use self::rules::{Counted, Rules, Verdict};
pub use self::saved::Saved;
pub use self::state::State;
pub(crate) use self::time::{NEVER, Nanos, Tick, nanos};
pub(crate) use self::view::View;
pub(crate) use self::window::Extent;
pub use self::window::SlidingWindow;

use self::calls_in_flight::CallsInFlight;
use self::counts::Tally;
use self::forgetting::ClosedTime;
use self::probes::Probes;
use self::ramp::Ramp;
use self::retry_after::RetryAfter;
use self::suspicion::Suspicion;
use self::window::Window;

/// What an admitted caller holds: the number of its closed period or of its probe.
pub(crate) type Ticket = u64;

/// How a call was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Admission {
    Closed(Ticket),
    /// The circuit is recovering. The ticket is that of its period, which all calls share.
    Recovering(Ticket),
    Probe(Ticket),
}

impl Admission {
    pub(crate) fn ticket(self) -> Ticket {
        let (Self::Closed(ticket) | Self::Recovering(ticket) | Self::Probe(ticket)) = self;
        ticket
    }
}

/// Something that has happened to the circuit, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Occurrence {
    Changed(Change),
    ProbeTimedOut,
    /// The probes have succeeded. A growing share of the calls is admitted for this long.
    Recovering {
        over: Nanos,
    },
    Operated(OperatorAction),
    Reconfigured {
        from: Arc<Rules>,
        to: Arc<Rules>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The rules that the circuit goes by. Shared by all circuits that are built from the same template.
    rules: Arc<Rules>,
    phase: Phase,
    /// Until when an operator holds the phase, open or closed, if one does. [`NEVER`] is until `resume`.
    forced: Option<Tick>,
    suspicion: Option<Suspicion>,
    /// When the first of these two ends by itself, or [`NEVER`].
    next_end: Tick,
    window: Option<Window>,
    /// The calls of the closed period that have not ended, if it matters how long they have been in flight.
    calls_in_flight: Option<Box<CallsInFlight>>,
    /// When calls in flight began to be watched last, or 0.
    last_grid: Tick,
    /// How many calls are admitted before the circuit closes. Until then, the closed period is half-open to others.
    ramp: Option<Ramp>,
    probes: Probes,
    last_ticket: Ticket,
    /// The open periods that the backoff depends on: those since the circuit was last closed and those before that
    /// it has not forgotten.
    attempts: u32,
    /// How long the circuit has been closed, while it is.
    closed_time: ClosedTime,
    /// All open periods. The jitter is drawn from this number, so the next wait is known in advance.
    openings: u64,
    seed: u64,
    /// The latest time that the machine was given. Threads may come with their times out of order.
    now: Tick,
    /// When the machine entered its state, and why.
    since: Tick,
    cause: Option<Cause>,
    /// What the callee has asked for in this period or, while the circuit is open, before it opened.
    retry_after: RetryAfter,
    /// The last ticket before the circuit left the closed state. Later tickets are of the probes since.
    outage: Ticket,
    /// The longest time that a probe of this outage has taken to succeed too late, or 0.
    late_success: Nanos,
    occurrences: Vec<Occurrence>,
    slot_freed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    /// Calls are admitted with this ticket and counted in the window.
    Closed { ticket: Ticket, streak: u64 },
    /// Calls are rejected. `tally` is what was counted when the circuit opened.
    Open { until: Tick, tally: Tally },
    /// Probes are admitted. `tally` is what they have reported so far.
    HalfOpen { tally: Tally },
}

impl Machine {
    /// Creates a closed circuit whose tickets come after `last_ticket`. `seed` determines the jitter.
    pub(crate) fn new(
        rules: impl Into<Arc<Rules>>,
        last_ticket: Ticket,
        seed: u64,
        now: Tick,
    ) -> Self {
        let rules = rules.into();
        let ticket = last_ticket + 1;
        let mut machine = Self {
            phase: Phase::Closed { ticket, streak: 0 },
            forced: None,
            suspicion: None,
            next_end: NEVER,
            window: rules.window.map(|window| window.open(now)),
            calls_in_flight: None,
            last_grid: 0,
            ramp: None,
            probes: Probes::new(rules.half_open.probes()),
            rules,
            last_ticket: ticket,
            attempts: 0,
            closed_time: ClosedTime::start(now),
            openings: 0,
            seed,
            now,
            since: now,
            cause: None,
            retry_after: RetryAfter::default(),
            outage: ticket,
            late_success: 0,
            occurrences: Vec::new(),
            slot_freed: false,
        };
        machine.watch_calls_in_flight(now);
        machine
    }

    // ---- calls --------------------------------------------------------------------------------

    /// Admits a call, or says why not.
    pub(crate) fn acquire(&mut self, now: Tick) -> Result<Admission, Refusal> {
        self.advance(now);
        let phase = self.phase;
        match phase {
            Phase::Closed { ticket, .. } => match self.overdue_cause() {
                Some(cause) => {
                    self.enter_open(self.now, self.judged(self.now), cause);
                    Err(self.refusal())
                }
                None => self.acquire_recovering(ticket),
            },
            Phase::Open { until, .. } if self.now >= until && self.forced.is_none() => {
                self.enter_half_open(self.now, Cause::WaitOver);
                Ok(self.admit_probe())
            }
            Phase::HalfOpen { tally } if self.free_a_slot(tally) => Ok(self.admit_probe()),
            Phase::Open { .. } | Phase::HalfOpen { .. } => Err(self.refusal()),
        }
    }

    /// Takes the result of a call that was admitted with `ticket` and began at `began`. The result is
    /// dropped if the period that admitted the call has ended.
    ///
    /// Returns whether the result belonged to the current period. The clock is read only if the result
    /// depends on the time, because reading it is most of the cost.
    pub(crate) fn settle(
        &mut self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        let retry_after = report.retry_after().min(self.rules.max_retry_after);
        // The clock is not read for a stale result: a permit that has outlived its breaker must not even
        // advance the time of the breaker that uses the circuit now. With paused clocks, each runtime has
        // a time of its own.
        if self.is_current(ticket) && (retry_after > 0 || self.depends_on_time()) {
            self.advance(clock()); // the probe may expire by this
        }
        if !self.is_current(ticket) {
            self.settle_stale(clock, ticket, began, report);
            return false;
        }
        let verdict = self.rules.verdict(report, self.now.saturating_sub(began));
        self.note_retry_after(retry_after);
        if !self.probes.remove(ticket) {
            self.record(verdict, retry_after > 0, clock);
        } else if verdict.counted.is_some() {
            self.record_probe(self.now, verdict, retry_after > 0);
        } else {
            self.slot_freed = true;
        }
        true
    }

    fn is_current(&self, ticket: Ticket) -> bool {
        self.closed_ticket() == Some(ticket) || self.probes.deadline(ticket).is_some()
    }

    // ---- time ---------------------------------------------------------------------------------

    /// Moves on to `now`, and the window with it, unless the machine is already there or later.
    fn advance(&mut self, now: Tick) {
        self.now = self.now.max(now);
        if let Some(window) = &mut self.window {
            window.advance(self.now);
        }
        self.expire_probes();
        if self.now >= self.next_end {
            self.end_what_is_over();
        }
    }

    /// Returns when time changes the machine next, unless something else happens before.
    fn next_deadline(&self) -> Option<Tick> {
        let deadline = self.next_end.min(self.probes.first_deadline().unwrap_or(NEVER));
        Some(deadline).filter(|deadline| *deadline != NEVER)
    }

    /// Whether a result depends on the time at which it arrives.
    fn depends_on_time(&self) -> bool {
        let is_closed = matches!(self.phase, Phase::Closed { .. });
        let slides_by_time = matches!(self.window, Some(Window::Time(_)));
        !is_closed || slides_by_time || self.rules.times_calls() || self.next_end != NEVER
    }

    // ---- what the circuit asks ----------------------------------------------------------------

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } if self.ramp.is_none() => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::Closed { .. } | Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    pub(crate) fn is_forced(&self) -> bool {
        self.forced.is_some()
    }

    /// Returns the ticket that all calls of a closed period share, which begins when the circuit recovers.
    pub(crate) fn closed_ticket(&self) -> Option<Ticket> {
        match self.phase {
            Phase::Closed { ticket, .. } => Some(ticket),
            _ => None,
        }
    }

    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    pub(crate) fn last_ticket(&self) -> Ticket {
        self.last_ticket
    }

    /// Whether something has happened since [`clear_occurrences`](Self::clear_occurrences) that others may
    /// want to know.
    pub(crate) fn has_changed(&self) -> bool {
        self.slot_freed || !self.occurrences.is_empty()
    }

    /// Returns what has happened since [`clear_occurrences`](Self::clear_occurrences).
    pub(crate) fn occurrences(&self) -> &[Occurrence] {
        &self.occurrences
    }

    pub(crate) fn clear_occurrences(&mut self) {
        self.slot_freed = false;
        self.occurrences.clear();
    }
}

#[cfg(test)]
mod exhaustive;
#[cfg(all(test, feature = "metrics"))]
pub(crate) use self::exhaustive::reachable_changes;
#[cfg(test)]
mod tests;
