//! [`LockedState`]: the data behind the lock of a circuit.

use std::sync::Arc;

use super::observer::{Observer, Watches};
use super::status::StatusWord;
use crate::machine::{Machine, Ticket};

#[derive(Default)]
pub(super) struct LockedState {
    /// The breaker that the circuit works for at present, if there is one.
    pub(super) breaker: Option<LockedBreaker>,
    /// The last ticket of the former breakers. No ticket is given twice.
    pub(super) last_ticket: Ticket,
}

pub(super) struct LockedBreaker {
    pub(super) machine: Machine,
    /// The first ticket of this breaker. Earlier ones belong to breakers that are gone.
    pub(super) first_ticket: Ticket,
    pub(super) observer: Arc<dyn Observer>,
    counts_in_flight: bool,
    /// The flags of the status word that do not depend on the state.
    pub(super) fixed_flags: u64,
}

impl LockedBreaker {
    pub(super) fn new(
        machine: Machine,
        observer: Arc<dyn Observer>,
        counts_in_flight: bool,
    ) -> Self {
        let first_ticket = machine.last_ticket();
        Self { machine, first_ticket, observer, counts_in_flight, fixed_flags: 0 }
    }

    /// Sets the flags that depend on the rules.
    pub(super) fn follow_rules(&mut self) {
        let (rules, watches) = (self.machine.rules(), self.observer.watches());
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let is_timed = rules.times_calls() || watches >= Watches::Durations;
        self.fixed_flags = flag(StatusWord::TIMED, is_timed)
            | flag(StatusWord::OBSERVED, watches >= Watches::Calls)
            | flag(StatusWord::COUNTS_IN_FLIGHT, self.counts_in_flight)
            | flag(StatusWord::COUNTS_ABANDONED, rules.abandoned_after.is_some());
    }

    /// Records what has happened. Returns the observer if it has to be notified.
    pub(super) fn record(&mut self) -> Option<Arc<dyn Observer>> {
        let notify = self.observer.record(&self.machine);
        self.machine.clear_occurrences();
        notify.then(|| self.observer.clone())
    }
}
