//! The calls in flight of a circuit.

use crate::sync::{AtomicU64, Ordering};

/// Counts those who need the circuit: the breaker that it works for, and the breaker's calls in
/// flight, if somebody wants to know how many there are. Since a circuit is not used again before they
/// have ended, no call is ever taken off the count of another breaker.
#[derive(Default)]
pub(crate) struct InFlight(AtomicU64);

const BREAKER: u64 = 1;

impl InFlight {
    /// A breaker begins.
    pub(crate) fn start(&self) {
        self.0.store(BREAKER, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes off a call, or the breaker; whether nobody needs the circuit any more.
    #[inline]
    pub(crate) fn remove(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether there are no calls. Asked only by those who have the breaker.
    #[cfg(feature = "keyed")]
    pub(crate) fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == BREAKER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_the_last_to_need_the_circuit_is_told() {
        let in_flight = InFlight::default();
        in_flight.start();
        assert!(in_flight.remove());

        in_flight.start();
        in_flight.add();
        in_flight.add();
        assert!(!in_flight.remove());
        assert!(!in_flight.remove());
        assert!(in_flight.remove());

        in_flight.start();
        in_flight.add();
        assert!(!in_flight.remove());
        assert!(in_flight.remove());
    }
}
