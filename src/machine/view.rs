//! [`View`]: the state of a machine for readers. Reading it changes nothing.

use std::sync::Arc;

use super::counts::{Counts, Tally};
use super::overdue::InFlight;
use super::{Cause, Change, Machine, NEVER, Nanos, Occurrence, Rules, State, Tick};

/// The state of a machine at one moment, as plain numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    pub(crate) state: State,
    pub(crate) forced: bool,
    /// How long the circuit remains forced, or `None` if it is not or remains so until `resume`.
    pub(crate) forced_for: Option<Nanos>,
    /// How long the circuit remains suspected, if it is.
    pub(crate) suspected_for: Option<Nanos>,
    /// The share of calls that are admitted, from 0.0 to 1.0.
    pub(crate) admitted_share: f64,
    /// How long the circuit has been in this state.
    pub(crate) age: Nanos,
    pub(crate) cause: Option<Cause>,
    /// What was recorded.
    pub(crate) tally: Tally,
    /// What the rules judge: the same, and the calls in flight that are overdue.
    pub(crate) judged: Tally,
    /// How many calls are in flight, if they are watched.
    pub(crate) in_flight: Option<InFlight>,
    /// The rules that the circuit goes by.
    pub(crate) rules: Arc<Rules>,
    /// The rules that were set. They differ while the circuit is suspected.
    pub(crate) settings: Arc<Rules>,
    /// The open periods since the circuit was last closed.
    pub(crate) attempts: u32,
    pub(crate) retry_after: Option<Nanos>,
    pub(crate) probes_in_flight: u64,
    pub(crate) next_probe_timeout: Option<Nanos>,
}

impl View {
    /// Whether the trip rules apply: the circuit is closed or recovering.
    pub(crate) fn may_trip(&self) -> bool {
        self.admitted_share > 0.0
    }

    /// Whether the circuit is half-open and admits a share of the calls.
    pub(crate) fn is_recovering(&self) -> bool {
        self.may_trip() && self.state == State::HalfOpen
    }

    /// Returns the failure rate and the slow-call rate, or `None` below the minimum number of calls.
    pub(crate) fn rates(&self) -> [Option<f64>; 2] {
        let Counts { calls, failures, slow } = self.judged.counts;
        let is_judged = calls >= self.rules.minimum_calls;
        [failures, slow].map(|part| is_judged.then(|| part as f64 / calls as f64))
    }
}

impl Machine {
    /// Returns the latest time that the machine has been told.
    pub(crate) fn now(&self) -> Tick {
        self.now
    }

    /// Returns the state of the machine at `now`. If time has changed something since the machine was last used, a
    /// copy is advanced.
    pub(crate) fn view(&self, now: Tick) -> View {
        let now = now.max(self.now);
        if self.next_deadline().is_some_and(|deadline| now >= deadline) {
            return self.advanced(now).view(now);
        }
        let until = |at: Tick| at.saturating_sub(now);
        View {
            state: self.state(),
            forced: self.is_forced(),
            forced_for: self.forced.filter(|end| *end != NEVER).map(until),
            suspected_for: self.suspected_for(now),
            admitted_share: self.admitted_share(now),
            age: now.saturating_sub(self.since),
            cause: self.cause,
            tally: self.tally(now),
            judged: self.judged(now),
            in_flight: self.in_flight(),
            rules: self.rules.clone(),
            settings: self.settings().clone(),
            attempts: self.attempts,
            retry_after: self.next_probe(now).map(until),
            probes_in_flight: self.probes.count(),
            next_probe_timeout: self.probes.first_deadline().map(until),
        }
    }

    /// Returns the change of state that time has caused by `now`, if the machine has not recorded it yet.
    pub(crate) fn unrecorded_change(&self, now: Tick) -> Option<Change> {
        self.next_deadline().filter(|deadline| now >= *deadline)?;
        self.advanced(now).occurrences.iter().rev().find_map(|occurrence| match occurrence {
            Occurrence::Changed(change) => Some(*change),
            _ => None,
        })
    }

    pub(super) fn advanced(&self, now: Tick) -> Self {
        let mut later = self.clone();
        later.advance(now);
        later
    }
}
