//! The admission of checks: probes that no caller waits for.

use super::permit::Permit;
use super::{Circuit, HAS_BREAKER, StatusWord, clock};
use crate::machine::Tick;

impl Circuit {
    /// Admits a check as a probe, if one may be admitted now. A closed circuit needs none. Otherwise returns when to
    /// look again, if anything changes by the time alone.
    pub(crate) fn admit_check(&'static self) -> Result<Permit, Option<Tick>> {
        let status = self.status();
        if status.is(StatusWord::CLOSED) {
            return Err(None);
        }
        let now = clock::now();
        if status.is(StatusWord::OPEN) {
            let refusal = self.published_refusal();
            if refusal.holds(now) {
                return Err(refusal.until());
            }
        }
        let asked = self
            .with_machine(|machine| machine.acquire_check(now).ok_or_else(|| machine.next_look()));
        let ticket = asked.expect(HAS_BREAKER)?;
        Ok(self.begin_call(ticket, now))
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
