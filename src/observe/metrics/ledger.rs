//! [`Ledger`]: what a circuit has done that its metrics do not show yet.

use std::mem;

use super::labels::{self, STATES, TRANSITIONS};
use crate::machine::{Change, Machine, Nanos, State, Tick};

/// Collects what is to be published. It is plain data and is written with the circuit's lock held, so that
/// everything comes in order. What has been collected is published without the lock.
#[derive(Default)]
pub(super) struct Ledger {
    /// The state of the circuit, or `None` before it starts and after it stops.
    state: Option<State>,
    /// The moment up to which time has been booked to a state.
    booked: Tick,
    /// The state that the gauges show.
    shown: Option<State>,
    /// What is to be published next, except for the state.
    due: Entry,
}

/// What is to be added to the metrics. Entries add up in any order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Entry {
    pub(super) left: Option<State>,
    pub(super) entered: Option<State>,
    /// The time spent in each state.
    pub(super) nanos: [Nanos; STATES.len()],
    pub(super) transitions: [u64; TRANSITIONS.len()],
    /// The current failure rate and slow-call rate. NaN means that there is none.
    pub(super) rates: Option<[f64; 2]>,
}

impl Ledger {
    pub(super) fn record(&mut self, change: &Change) {
        self.enter(change.to, change.at);
        if let Some(index) = labels::index(change) {
            self.due.transitions[index] += 1;
        }
    }

    /// Books the time up to `now`, and reads the rates. The first reading starts the ledger.
    pub(super) fn read(&mut self, machine: &Machine, now: Tick) {
        if self.state.is_none() {
            self.booked = now;
            self.state = Some(machine.state());
        }
        self.book_time(machine, now);
        let rates = machine.view(now).rates();
        self.due.rates = Some(rates.map(|rate| rate.unwrap_or(f64::NAN)));
    }

    pub(super) fn stop(&mut self) {
        self.state = None;
        self.due.rates = Some([f64::NAN; 2]);
    }

    /// Hands over what is to be published.
    pub(super) fn take(&mut self) -> Entry {
        let mut entry = mem::take(&mut self.due);
        let shown = mem::replace(&mut self.shown, self.state);
        if shown != self.state {
            (entry.left, entry.entered) = (shown, self.state);
        }
        entry
    }

    /// A probe that does not report changes the state when its time has passed, although this is recorded
    /// only when the circuit is used again. Its time has been booked by then.
    fn book_time(&mut self, machine: &Machine, now: Tick) {
        if let Some(change) = machine.unrecorded_change(now) {
            self.enter(change.to, change.at);
        }
        self.book(now);
    }

    fn enter(&mut self, state: State, at: Tick) {
        self.book(at);
        self.state = Some(state);
    }

    fn book(&mut self, now: Tick) {
        if let Some(state) = self.state {
            self.due.nanos[state as usize] += now.saturating_sub(self.booked);
            self.booked = self.booked.max(now);
        }
    }
}
