//! [`KeyedLayer`].

use std::fmt;

use crate::keyed::CircuitBreakerRegistry;
#[cfg(feature = "http")]
use crate::keyed::{ByHost, HostPort};
use crate::layer::{ErrorsAsFailures, NoFallback};

/// A layer that sends each request through the circuit of its key.
///
/// The layer holds a [`CircuitBreakerRegistry`], which all services that it creates share. See the
/// [module](crate::keyed) for examples.
pub struct KeyedLayer<K, P, C = ErrorsAsFailures, F = NoFallback> {
    pub(super) circuits: CircuitBreakerRegistry<K>,
    pub(super) picker: P,
    pub(super) classifier: C,
    pub(super) fallback: F,
}

impl<K, P> KeyedLayer<K, P> {
    /// Creates a layer that picks the circuit of each request with `picker`.
    ///
    /// A picker is a closure `|request: &Request| -> Key`, or any other
    /// [`PickCircuit`](crate::keyed::PickCircuit). It is cloned for each service.
    ///
    /// Every `Err` counts as a failure, and calls are rejected while their circuit is open. Change that
    /// with [`classifier`](Self::classifier) and [`fallback`](Self::fallback).
    #[must_use]
    pub fn new(circuits: CircuitBreakerRegistry<K>, picker: P) -> Self {
        Self { circuits, picker, classifier: ErrorsAsFailures, fallback: NoFallback }
    }
}

#[cfg(feature = "http")]
impl KeyedLayer<HostPort, ByHost> {
    /// Creates a layer that picks the circuit by the [host and port](ByHost) of an HTTP request.
    #[must_use]
    pub fn by_host(circuits: CircuitBreakerRegistry<HostPort>) -> Self {
        Self::new(circuits, ByHost)
    }
}

impl<K, P, C, F> KeyedLayer<K, P, C, F> {
    /// Sets what decides whether a call succeeded, as
    /// [`CircuitBreakerLayer::classifier`](crate::CircuitBreakerLayer::classifier) does.
    #[must_use]
    pub fn classifier<D>(self, classifier: D) -> KeyedLayer<K, P, D, F> {
        let Self { circuits, picker, fallback, .. } = self;
        KeyedLayer { circuits, picker, classifier, fallback }
    }

    /// Sets what answers a rejected call, as
    /// [`CircuitBreakerLayer::fallback`](crate::CircuitBreakerLayer::fallback) does.
    ///
    /// [`Rejected::breaker`](crate::Rejected::breaker) is the name of the circuit that rejected the call.
    #[must_use]
    pub fn fallback<G>(self, fallback: G) -> KeyedLayer<K, P, C, G> {
        let Self { circuits, picker, classifier, .. } = self;
        KeyedLayer { circuits, picker, classifier, fallback }
    }

    /// Returns the registry that all services of this layer share.
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
