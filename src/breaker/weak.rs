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

impl fmt::Debug for WeakCircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakCircuitBreaker").finish_non_exhaustive()
    }
}
