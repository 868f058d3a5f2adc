//! [`Source`]: where the circuits come from that are shown.

use std::sync::{Arc, Weak};

use crate::breaker::CircuitBreaker;
#[cfg(feature = "keyed")]
use crate::keyed::CircuitBreakerRegistry;
use crate::observe::Watcher;

#[derive(Clone)]
pub(super) enum Source {
    Breaker(CircuitBreaker),
    #[cfg(feature = "keyed")]
    Registry(Arc<dyn Registry>),
}

/// A registry with keys of any type.
#[cfg(feature = "keyed")]
pub(super) trait Registry: Send + Sync {
    fn name(&self) -> &Arc<str>;
    fn some_circuits(&self, from: usize, found: &mut Vec<CircuitBreaker>) -> Option<usize>;
    fn watch(&self, watcher: Weak<dyn Watcher>);
}

#[cfg(feature = "keyed")]
impl<K: Send + Sync> Registry for CircuitBreakerRegistry<K> {
    fn name(&self) -> &Arc<str> {
        self.name()
    }

    fn some_circuits(&self, from: usize, found: &mut Vec<CircuitBreaker>) -> Option<usize> {
        self.some_circuits(from, found)
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) {
        self.watch(watcher);
    }
}

impl Source {
    /// Adds the next few circuits to `found`. Returns where to go on, or `None` if there are no more.
    pub(super) fn some_circuits(
        &self,
        from: usize,
        found: &mut Vec<CircuitBreaker>,
    ) -> Option<usize> {
        match self {
            Self::Breaker(breaker) => {
                if from == 0 {
                    found.push(breaker.clone());
                }
                None
            }
            #[cfg(feature = "keyed")]
            Self::Registry(registry) => registry.some_circuits(from, found),
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
