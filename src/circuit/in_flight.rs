//! [`InFlight`].

use super::sync::{AtomicU64, Ordering};

/// Counts what needs a circuit: the breaker that it works for and, if calls in flight are counted, each of
/// these calls. The circuit is not reused before all of them have ended, so no call is ever subtracted from
/// the count of another breaker.
#[derive(Default)]
pub(crate) struct InFlight(AtomicU64);

const BREAKER: u64 = 1;

impl InFlight {
    /// Begins to count, with the breaker.
    pub(crate) fn start(&self) {
        self.0.store(BREAKER, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Subtracts a call, or the breaker. Returns whether the circuit is no longer needed.
    #[inline]
    pub(crate) fn remove(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether no calls are in flight. The caller must hold a handle to the breaker.
    #[cfg(feature = "keyed")]
    pub(crate) fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == BREAKER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_to_need_the_circuit_learns_it() {
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
