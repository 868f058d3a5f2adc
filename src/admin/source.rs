//! [`Source`]: where the circuits come from that are shown.

use std::sync::{Arc, Weak};

use crate::breaker::CircuitBreaker;
use crate::circuit::Circuit;
#[cfg(feature = "keyed")]
use crate::keyed::CircuitBreakerRegistry;
use crate::observe::Watcher;

#[derive(Clone)]
pub(super) enum Source {
    Breaker(CircuitBreaker),
    #[cfg(feature = "keyed")]
    Registry(Arc<dyn Registry>),
}

/// What is done with each circuit. No lock is held meanwhile. The circuit comes next to its handle, because a quick look
/// at the circuit takes half as long if it does not have to follow the handle.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&CircuitBreaker, &'static Circuit);

/// A registry with keys of any type.
#[cfg(feature = "keyed")]
pub(super) trait Registry: Send + Sync {
    fn name(&self) -> &Arc<str>;
    fn some_circuits(&self, from: usize, visit: Visit<'_>) -> Option<usize>;
    fn watch(&self, watcher: Weak<dyn Watcher>);
}

#[cfg(feature = "keyed")]
impl<K: Send + Sync> Registry for CircuitBreakerRegistry<K> {
    fn name(&self) -> &Arc<str> {
        self.name()
    }

    fn some_circuits(&self, from: usize, visit: Visit<'_>) -> Option<usize> {
        self.some_circuits(from, visit)
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) {
        self.watch(watcher);
    }
}

impl Source {
    /// Visits the next few circuits. Returns where to go on, or `None` if there are no more.
    pub(super) fn some_circuits(&self, from: usize, visit: Visit<'_>) -> Option<usize> {
        match self {
            Self::Breaker(breaker) => {
                if from == 0 {
                    visit(breaker, breaker.circuit());
                }
                None
            }
            #[cfg(feature = "keyed")]
            Self::Registry(registry) => registry.some_circuits(from, visit),
        }
    }

    /// Returns the name of the registry, if it is one.
    pub(super) fn registry(&self) -> Option<Arc<str>> {
        match self {
            Self::Breaker(_) => None,
            #[cfg(feature = "keyed")]
            Self::Registry(registry) => Some(registry.name().clone()),
        }
    }

    pub(super) fn watch(&self, watcher: Weak<dyn Watcher>) {
        match self {
            Self::Breaker(breaker) => breaker.watch(watcher),
            #[cfg(feature = "keyed")]
            Self::Registry(registry) => registry.watch(watcher),
        }
    }
}
