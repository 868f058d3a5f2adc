//! The calls in flight of a circuit.

use crate::state::Ticket;
use crate::sync::{AtomicU64, Ordering};

/// The first ticket of the present breaker in the upper bits, its calls in flight in the lower ones:
/// in one word, so that calls of an earlier breaker, which may end at any time, are not taken off. 40
/// bits of the ticket fit: to be mistaken, a call would have to outlive 2^40 others.
#[derive(Default)]
pub(crate) struct InFlight(AtomicU64);

/// 16 million calls.
const COUNT_BITS: u32 = 24;
const TICKET_MASK: u64 = u64::MAX >> COUNT_BITS;

impl InFlight {
    /// A new breaker begins, with this ticket.
    pub(crate) fn start(&self, first: Ticket) {
        self.0.store((first & TICKET_MASK) << COUNT_BITS, Ordering::Release);
    }

    #[inline]
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn remove(&self, ticket: Ticket) {
        let is_present = |seen: u64| ticket & TICKET_MASK >= seen >> COUNT_BITS;
        let without = |seen: u64| is_present(seen).then(|| seen - 1);
        // In vain if the breaker is another one by now.
        let _ = self.0.fetch_update(Ordering::Release, Ordering::Relaxed, without);
    }

    #[cfg(feature = "keyed")]
    pub(crate) fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) % (1 << COUNT_BITS) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(in_flight: &InFlight) -> u64 {
        in_flight.0.load(Ordering::Relaxed) % (1 << COUNT_BITS)
    }

    #[test]
    fn calls_of_an_earlier_breaker_are_neither_counted_nor_taken_off() {
        let in_flight = InFlight::default();
        in_flight.start(1);
        in_flight.add();
        in_flight.add();
        in_flight.remove(1);
        assert_eq!(count(&in_flight), 1);

        in_flight.start(5);
        assert_eq!(count(&in_flight), 0);
        in_flight.add();
        in_flight.remove(1);
        assert_eq!(count(&in_flight), 1);
        in_flight.remove(5);
        assert_eq!(count(&in_flight), 0);
    }
}
