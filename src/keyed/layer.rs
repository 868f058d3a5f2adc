//! [`KeyedLayer`].

use std::fmt;

use crate::keyed::CircuitBreakerRegistry;
#[cfg(feature = "http")]
use crate::keyed::{ByHost, HostPort};
use crate::layer::{ErrorsAsFailures, NoFallback};

/// Puts a [`CircuitBreakerRegistry`] in front of a service: each request goes through the circuit of
/// its key.
///
/// The layer holds the registry, and all services that it makes share it. See the
/// [module](crate::keyed) for examples.
pub struct KeyedLayer<K, P, C = ErrorsAsFailures, F = NoFallback> {
    pub(super) circuits: CircuitBreakerRegistry<K>,
    pub(super) picker: P,
    pub(super) classifier: C,
    pub(super) fallback: F,
}

impl<K, P> KeyedLayer<K, P> {
    /// A layer that picks the circuit with `picker`: a closure `|request: &Request| -> Key`, or any
    /// other [`PickCircuit`](crate::keyed::PickCircuit). It is cloned for each service.
    ///
    /// Every `Err` is a failure, and calls are rejected while their circuit is open.
    #[must_use]
    pub fn new(circuits: CircuitBreakerRegistry<K>, picker: P) -> Self {
        Self { circuits, picker, classifier: ErrorsAsFailures, fallback: NoFallback }
    }
}

#[cfg(feature = "http")]
impl KeyedLayer<HostPort, ByHost> {
    /// A layer that picks the circuit [by host and port](ByHost) of the HTTP request.
    #[must_use]
    pub fn by_host(circuits: CircuitBreakerRegistry<HostPort>) -> Self {
        Self::new(circuits, ByHost)
    }
}

impl<K, P, C, F> KeyedLayer<K, P, C, F> {
    /// As [`CircuitBreakerLayer::classifier`](crate::CircuitBreakerLayer::classifier).
    #[must_use]
    pub fn classifier<D>(self, classifier: D) -> KeyedLayer<K, P, D, F> {
        let Self { circuits, picker, fallback, .. } = self;
        KeyedLayer { circuits, picker, classifier, fallback }
    }

    /// As [`CircuitBreakerLayer::fallback`](crate::CircuitBreakerLayer::fallback);
    /// [`Rejected::breaker`](crate::Rejected::breaker) tells which circuit it was.
    #[must_use]
    pub fn fallback<G>(self, fallback: G) -> KeyedLayer<K, P, C, G> {
        let Self { circuits, picker, classifier, .. } = self;
        KeyedLayer { circuits, picker, classifier, fallback }
    }

    /// The registry that all its services share.
    #[must_use]
    pub fn registry(&self) -> &CircuitBreakerRegistry<K> {
        &self.circuits
    }
}

impl<K, P: Clone, C: Clone, F: Clone> Clone for KeyedLayer<K, P, C, F> {
    fn clone(&self) -> Self {
        Self {
            circuits: self.circuits.clone(),
            picker: self.picker.clone(),
            classifier: self.classifier.clone(),
            fallback: self.fallback.clone(),
        }
    }
}

impl<K, P, C, F> fmt::Debug for KeyedLayer<K, P, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLayer").field("registry", &self.circuits).finish_non_exhaustive()
    }
}
