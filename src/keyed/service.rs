//! [`KeyedService`].

use std::fmt;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::breaker::CircuitBreakerError;
use crate::keyed::{CircuitBreakerRegistry, KeyedLayer, PickCircuit};
use crate::layer::{Classifier, ErrorsAsFailures, Fallback, NOT_READY, NoFallback, ResponseFuture};

/// A service that sends each request through the circuit of its key. Created by [`KeyedLayer`].
///
/// # Readiness
/// `poll_ready` has no request yet and therefore no key, so it asks only the inner service. The circuit
/// is picked in `call`, and admits or rejects the call there. So, unlike with
/// [`CircuitBreakerService`](crate::CircuitBreakerService), an inner service that is not ready also
/// delays rejections. This rarely matters: the clients of hyper, reqwest and tonic are always ready, or
/// are cloned for each call.
///
/// After a rejected call, the inner service is still ready. A clone is not ready.
///
/// # Errors
/// A call fails with [`CircuitBreakerError::Rejected`] if its circuit does not admit it and there is no
/// [fallback](crate::keyed::KeyedLayer::fallback), and with [`CircuitBreakerError::Inner`] if the inner
/// service fails. An error of the inner service's `poll_ready` is passed on and counts for no circuit.
///
/// # Panics
/// `call` panics if `poll_ready` has not returned `Ready(Ok(()))` since the last call.
pub struct KeyedService<S, K, P, C = ErrorsAsFailures, F = NoFallback> {
    inner: S,
    layer: KeyedLayer<K, P, C, F>,
    is_ready: bool,
}

impl<S, K, P: Clone, C: Clone, F: Clone> Layer<S> for KeyedLayer<K, P, C, F> {
    type Service = KeyedService<S, K, P, C, F>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyedService::new(inner, self.clone())
    }
}

impl<S, K, P, C, F> KeyedService<S, K, P, C, F> {
    fn new(inner: S, layer: KeyedLayer<K, P, C, F>) -> Self {
        Self { inner, layer, is_ready: false }
    }

    /// Returns the registry.
    #[must_use]
    pub fn registry(&self) -> &CircuitBreakerRegistry<K> {
        self.layer.registry()
    }

    /// Returns a reference to the inner service.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service without its circuits.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, K, P, C, F, Request> Service<Request> for KeyedService<S, K, P, C, F>
where
    S: Service<Request>,
    P: PickCircuit<Request, Key = K>,
    C: Classifier<S::Response, S::Error> + Clone,
    F: Fallback<Request, C::Response, S::Error>,
{
    type Response = C::Response;
    type Error = CircuitBreakerError<S::Error>;
    type Future = ResponseFuture<S::Future, C, F::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let poll = self.inner.poll_ready(cx);
        self.is_ready = matches!(poll, Poll::Ready(Ok(())));
        poll.map_err(CircuitBreakerError::Inner)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "{NOT_READY}");
        let KeyedLayer { circuits, picker, classifier, fallback } = &self.layer;
        match picker.try_acquire(&request, circuits) {
            Ok(permit) => {
                let (future, permit) = permit.failing_on_panic(|| self.inner.call(request));
                ResponseFuture::admitted(future, permit, classifier.clone())
            }
            Err(rejected) => ResponseFuture::rejected(fallback.answer(request, rejected)),
        }
    }
}

/// A clone shares the registry, but it is not ready.
impl<S: Clone, K, P: Clone, C: Clone, F: Clone> Clone for KeyedService<S, K, P, C, F> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.layer.clone())
    }
}

impl<S: fmt::Debug, K, P, C, F> fmt::Debug for KeyedService<S, K, P, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedService")
            .field("inner", &self.inner)
            .field("registry", self.registry())
            .finish_non_exhaustive()
    }
}
