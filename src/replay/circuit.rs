//! Replays the calls of one circuit.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::traffic::Queue;
use crate::circuit::Escaped;
use crate::machine::{
    Admission, Cause, Change, Extent, Machine, Nanos, Occurrence, Rules, State, Tick, Ticket, nanos,
};
use crate::snapshot::Snapshot;

/// What became of a call in a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Fate {
    /// The circuit was closed, or recovering, and admitted the call.
    Admitted,
    /// The call was admitted as a probe.
    Probe,
    /// The call was turned away.
    Shed,
}

/// A change of state in a replay.
///
/// `Display` prints one line: `12.5s payments: closed -> open (5 failures in a row), next probe in 4.9s`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Transition {
    /// The circuit: the key of its calls.
    pub key: Arc<str>,
    /// When the circuit entered its new state, since the beginning of the trace.
    pub at: Duration,
    /// The state that the circuit left.
    pub from: State,
    /// The state that the circuit entered.
    pub to: State,
    /// Why the circuit changed its state.
    pub cause: Cause,
    /// How long the circuit stays open before it admits a probe, if it opened.
    pub open_duration: Option<Duration>,
    /// The number of the open period since the circuit was last closed, starting with 1, if it opened.
    pub attempt: Option<u32>,
}

impl Transition {
    fn new(key: &Arc<str>, change: &Change) -> Self {
        let Change { from, to, cause, at, opening, .. } = *change;
        Self {
            key: key.clone(),
            at: since_start(at),
            from,
            to,
            cause,
            open_duration: opening.map(|opening| Duration::from_nanos(opening.wait)),
            attempt: opening.map(|opening| opening.attempt),
        }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, at, from, to, cause, open_duration, .. } = self;
        write!(f, "{at:?} {}", Escaped(key))?;
        let colon = if key.is_empty() { "" } else { ": " };
        write!(f, "{colon}{from} -> {to} ({cause})")?;
        open_duration.map_or(Ok(()), |wait| write!(f, ", next probe in {wait:.1?}"))
    }
}

/// The beginning of the trace. A circuit compares times that are before its own beginning, so this is not 0.
const START: Tick = 1 << 61;

fn tick(at: Duration) -> Tick {
    START.saturating_add(nanos(at))
}

fn since_start(at: Tick) -> Duration {
    Duration::from_nanos(at - START)
}

/// A circuit in virtual time.
pub(super) struct ReplayedCircuit {
    key: Arc<str>,
    machine: Machine,
    /// The admitted calls that have not ended: when they will, their numbers and their tickets.
    in_flight: BinaryHeap<Reverse<(Tick, usize, Ticket)>>,
    pub(super) transitions: Vec<Transition>,
    /// Since when the circuit has been closed although the failure rate is above its threshold.
    above_threshold_since: Option<Tick>,
    longest_above_threshold: Nanos,
    /// When that was looked at last.
    last_look: Tick,
}

impl ReplayedCircuit {
    pub(super) fn new(key: Arc<str>, rules: Arc<Rules>, seed: u64) -> Self {
        Self {
            machine: Machine::new(rules, 0, seed, START),
            key,
            in_flight: BinaryHeap::new(),
            transitions: Vec::new(),
            above_threshold_since: None,
            longest_above_threshold: 0,
            last_look: START,
        }
    }

    /// The call with this number asks for admission. The calls that end before or at this time end first. If there is a
    /// queue, it decides how the call ends.
    pub(super) fn call(
        &mut self,
        calls: &mut Cow<'_, [Call]>,
        number: usize,
        queue: Option<&mut Queue>,
    ) -> Fate {
        let now = tick(calls[number].at);
        self.end_calls(calls, now);
        self.find_overdue_calls(now);
        let admission = self.machine.acquire(now);
        let fate = match admission {
            Ok(Admission::Probe(_)) => Fate::Probe,
            Ok(Admission::Closed(_) | Admission::Recovering(_)) => Fate::Admitted,
            Err(_) => Fate::Shed,
        };
        match queue {
            Some(queue) if fate != Fate::Shed => queue.serve(&mut calls.to_mut()[number]),
            Some(queue) => _ = queue.try_on(&mut calls.to_mut()[number]),
            None => {}
        }
        if let Ok(admission) = admission {
            self.machine.begin_call(admission, now);
            let end = now + nanos(calls[number].duration);
            self.in_flight.push(Reverse((end, number, admission.ticket())));
        }
        self.note_changes(now);
        fate
    }

    /// Ends the calls that end until `now`.
    fn end_calls(&mut self, calls: &[Call], now: Tick) {
        while let Some(&Reverse((end, number, ticket))) = self.in_flight.peek() {
            if end > now {
                break;
            }
            self.in_flight.pop();
            let began = tick(calls[number].at);
            if self.machine.closed_ticket() == Some(ticket) {
                self.find_overdue_calls(end);
                self.machine.leave(ticket, began);
            }
            self.machine.settle(|| end, ticket, began, calls[number].report());
            self.note_changes(end);
        }
    }

    /// Ends the calls that are in flight. The trace ends at this time.
    pub(super) fn finish(&mut self, calls: &[Call], at: Duration) {
        self.end_calls(calls, tick(at));
        self.note_time_above_threshold(tick(at), false);
    }

    /// Ends the calls that end by this time, and returns what the circuit looks like then.
    pub(super) fn snapshot_at(mut self, calls: &[Call], at: Duration) -> Snapshot {
        let now = tick(at);
        self.end_calls(calls, now);
        self.find_overdue_calls(now);
        Snapshot::new(self.machine.view(now))
    }

    pub(super) fn longest_above_threshold(&self) -> Duration {
        Duration::from_nanos(self.longest_above_threshold)
    }

    fn find_overdue_calls(&mut self, now: Tick) {
        self.machine.find_overdue_calls(now, 0, |_| 0);
    }

    fn note_changes(&mut self, now: Tick) {
        for occurrence in self.machine.occurrences() {
            if let Occurrence::Changed(change) = occurrence {
                self.transitions.push(Transition::new(&self.key, change));
            }
        }
        self.machine.clear_occurrences();
        self.note_time_above_threshold(now, self.is_closed_above_threshold(now));
    }

    /// Whether the failure rate is above its threshold, however few the calls are, and the circuit is closed.
    fn is_closed_above_threshold(&self, now: Tick) -> bool {
        let Some(threshold) = self.machine.rules().failure_rate else { return false };
        let counts = self.machine.judged(now).counts;
        self.machine.state() == State::Closed
            && counts.failures > 0
            && counts.failures as f64 / counts.calls as f64 >= threshold
    }

    /// What was seen last holds until now, but for no longer than a time window does.
    fn note_time_above_threshold(&mut self, now: Tick, is_above: bool) {
        let window = self.machine.rules().window.map(|window| window.extent);
        let held = match window {
            Some(Extent::Time(length)) => now.min(self.last_look.saturating_add(nanos(length))),
            Some(Extent::Calls(_)) | None => now,
        };
        if let Some(since) = self.above_threshold_since {
            self.longest_above_threshold = self.longest_above_threshold.max(held - since);
        }
        self.above_threshold_since = match self.above_threshold_since {
            Some(since) if is_above && held == now => Some(since),
            _ => is_above.then_some(now),
        };
        self.last_look = now;
    }
}
