//! What a registry checks before it drops a circuit.

use super::{Circuit, StatusWord, clock};
use crate::machine::Tick;

impl Circuit {
    /// Whether dropping the circuit would lose nothing but counts: it is closed, no operator holds it, and
    /// no call is in flight.
    pub(crate) fn is_at_rest(&self) -> bool {
        let status = self.status_without_calls();
        let is_held = |status: StatusWord| {
            status.is(StatusWord::FORCED) && self.published_refusal().holds(clock::now())
        };
        status.is_some_and(|status| status.is(StatusWord::CLOSED) && !is_held(status))
    }

    /// Whether the circuit stays as it is until a call asks for admission: no operator holds it, its open
    /// period has elapsed if it is open, and no call is in flight.
    pub(crate) fn is_idle(&self, now: Tick) -> bool {
        let is_held_or_waits = |status: StatusWord| {
            status.is(StatusWord::FORCED | StatusWord::OPEN) && self.published_refusal().holds(now)
        };
        self.status_without_calls().is_some_and(|status| !is_held_or_waits(status))
    }

    /// Returns the status unless calls are in flight. The count is read first, because a call leaves it
    /// only after it has been settled.
    fn status_without_calls(&self) -> Option<StatusWord> {
        self.published.slices.have_no_calls().then(|| self.status())
    }
}
