//! [`WeakCircuitBreaker`].

use std::fmt;
use std::sync::{Arc, Weak};

use super::{CircuitBreaker, Lease};

/// A handle to a [`CircuitBreaker`] that does not keep its circuit alive, returned by
/// [`CircuitBreaker::downgrade`].
#[derive(Clone)]
pub struct WeakCircuitBreaker {
    lease: Weak<Lease>,
}

impl WeakCircuitBreaker {
    pub(super) fn new(lease: &Arc<Lease>) -> Self {
        Self { lease: Arc::downgrade(lease) }
    }

    /// Returns a handle to the circuit, or `None` if every other handle has been dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<CircuitBreaker> {
        self.lease.upgrade().map(|lease| CircuitBreaker { lease })
    }
}

#[cfg(feature = "keyed")]
impl WeakCircuitBreaker {
    /// Returns whether this is a handle to the same circuit.
    pub(super) fn is_of(&self, breaker: &CircuitBreaker) -> bool {
        std::ptr::eq(self.lease.as_ptr(), Arc::as_ptr(&breaker.lease))
    }
}

#[cfg(feature = "admin")]
impl WeakCircuitBreaker {
    /// Returns whether there is still a handle that keeps the circuit alive.
    pub(crate) fn is_alive(&self) -> bool {
        self.lease.strong_count() > 0
    }
}

impl fmt::Debug for WeakCircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakCircuitBreaker").finish_non_exhaustive()
    }
}
