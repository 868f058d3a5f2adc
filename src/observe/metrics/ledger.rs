//! What a circuit has done that its metrics do not show yet. Pure: kept with the circuit's lock held,
//! so that it is in order, and published without.

use std::mem;

use super::labels::{self, TRANSITIONS};
use crate::machine::{Change, Machine, Nanos, State, Tick};

#[derive(Default)]
pub(crate) struct Ledger {
    /// `None` while there is no circuit, before and after.
    state: Option<State>,
    /// Until when the time in the state is booked.
    booked: Tick,
    /// The state that the gauges show.
    shown: Option<State>,
    /// What is to be published next, but for the state.
    due: Entry,
}

/// What is to be added to the metrics. Entries add up in any order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Entry {
    pub(crate) left: Option<State>,
    pub(crate) entered: Option<State>,
    /// The time in each state.
    pub(crate) nanos: [Nanos; 3],
    pub(crate) transitions: [u64; TRANSITIONS.len()],
    /// The failure rate and the slow-call rate, as they are now; NaN if there is none.
    pub(crate) rates: Option<[f64; 2]>,
}

impl Ledger {
    pub(crate) fn record(&mut self, change: &Change) {
        self.enter(change.to, change.at);
        if let Some(index) = labels::index(change) {
            self.due.transitions[index] += 1;
        }
    }

    /// Books what is true at `now`. The first reading begins the books.
    pub(crate) fn read(&mut self, machine: &Machine, now: Tick) {
        if self.state.is_none() {
            self.booked = now;
            self.state = Some(machine.state());
        }
        self.book_time(machine, now);
        let rates = machine.view(now).rates();
        self.due.rates = Some(rates.map(|rate| rate.unwrap_or(f64::NAN)));
    }

    pub(crate) fn stop(&mut self) {
        self.state = None;
        self.due.rates = Some([f64::NAN; 2]);
    }

    /// Hands over what is to be published.
    pub(crate) fn take(&mut self) -> Entry {
        let mut entry = mem::take(&mut self.due);
        let shown = mem::replace(&mut self.shown, self.state);
        if shown != self.state {
            (entry.left, entry.entered) = (shown, self.state);
        }
        entry
    }

    /// A probe that does not report changes the state when its time has passed, although this is recorded
    /// only when somebody uses the circuit.
    fn book_time(&mut self, machine: &Machine, now: Tick) {
        if let Some(change) = machine.unrecorded_change(now) {
            self.enter(change.to, change.at);
        }
        self.pass(now);
    }

    fn enter(&mut self, state: State, at: Tick) {
        self.pass(at);
        self.state = Some(state);
    }

    fn pass(&mut self, now: Tick) {
        if let Some(state) = self.state {
            self.due.nanos[state as usize] += now.saturating_sub(self.booked);
            self.booked = self.booked.max(now);
        }
    }
}
