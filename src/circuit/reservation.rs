//! [`Reservation`]: the admission of a call that has not begun.

use std::fmt;

use super::status::StatusWord;
use super::{Circuit, Permit, UNTIMED, clock};
use crate::machine::{Admission, Machine, Report, Tick, Ticket};

/// The admission of a call that has not begun: a probe slot, or a place among the calls that are admitted while the
/// circuit recovers. Dropping it gives a probe slot back.
pub(crate) struct Reservation {
    circuit: &'static Circuit,
    /// The ticket. The flag [`CLOSED`](StatusWord::CLOSED) says that it is that of a period, not of a probe. In one word,
    /// because a larger reservation would make rejections slower (`cargo bench --bench instructions`).
    admitted: StatusWord,
}

impl Reservation {
    pub(super) fn new(circuit: &'static Circuit, admission: Admission) -> Self {
        let is_probe = matches!(admission, Admission::Probe(_));
        let flags = if is_probe { 0 } else { StatusWord::CLOSED };
        Self { circuit, admitted: StatusWord(flags).with_ticket(admission.ticket()) }
    }

    pub(crate) fn is_probe(&self) -> bool {
        !self.admitted.is(StatusWord::CLOSED)
    }

    /// Returns when the reservation expires, or `None` if it has expired or was given to another caller.
    pub(crate) fn deadline(&self) -> Option<Tick> {
        let now = clock::now();
        self.with_machine(|machine, ticket| machine.reserved_until(now, ticket)).flatten()
    }

    /// Marks a probe slot as idle, because the inner service is ready. Until the call begins, the slot goes to any
    /// caller that finds no free slot.
    pub(crate) fn set_ready(&self) {
        let now = clock::now();
        self.with_machine(|machine, ticket| machine.slot_is_ready(now, ticket));
    }

    /// Begins the call, unless the reservation has expired or was given to another caller.
    pub(crate) fn begin(self) -> Option<Permit> {
        let now = clock::now();
        let begun = self.with_machine(|machine, ticket| machine.begin_reserved(now, ticket));
        let permit = self.circuit.begin_call(self.admitted.ticket(), begun.flatten()?);
        std::mem::forget(self); // dropping it would give the slot back
        Some(permit)
    }

    fn with_machine<R>(&self, act: impl FnOnce(&mut Machine, Ticket) -> R) -> Option<R> {
        self.circuit.with_machine(|machine| act(machine, self.admitted.ticket()))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.circuit.settle(clock::now, self.admitted.ticket(), UNTIMED, Report::Ignored);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("ticket", &self.admitted.ticket())
            .finish_non_exhaustive()
    }
}
