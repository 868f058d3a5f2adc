//! The admission of checks: probes that no caller waits for.

use super::permit::Permit;
use super::{Circuit, clock};
use crate::machine::Tick;

impl Circuit {
    /// Admits a check as a probe, if one may be admitted now. A closed circuit needs none.
    pub(crate) fn admit_check(&'static self) -> Option<Permit> {
        if self.is_closed() {
            return None;
        }
        let now = clock::now();
        let ticket = self.with_machine(|machine| machine.acquire_check(now)).flatten()?;
        Some(self.begin_call(ticket, now))
    }
}

impl Permit {
    /// Returns when the time of this probe is over, or `None` if its result does not count any more. The caller has to
    /// hold the breaker, because the clock of the next one may be another.
    pub(crate) fn probe_deadline(&self) -> Option<Tick> {
        let (circuit, ticket) = self.circuit_and_ticket();
        let now = clock::now();
        circuit.with_machine(|machine| machine.reserved_until(now, ticket)).flatten()
    }
}
