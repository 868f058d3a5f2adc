//! [`CircuitBreakerLayer`].

use tower_layer::Layer;

use crate::breaker::CircuitBreaker;
use crate::classify::ErrorsAsFailures;
use crate::service::CircuitBreakerService;

/// Puts a [`CircuitBreaker`] in front of a service.
///
/// The layer holds the circuit. All services that it makes share it, so it does not matter how often
/// [`layer`](Layer::layer) runs; axum runs it once per route, or even per request. Make one breaker
/// per dependency, not one per request.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let breaker = CircuitBreaker::new("payments");
///
/// let client = ServiceBuilder::new()
///     .layer(CircuitBreakerLayer::new(breaker.clone()))
///     .timeout(Duration::from_secs(1))
///     .service(service_fn(|amount: u32| async move { Ok::<_, std::io::Error>(amount) }));
///
/// assert_eq!(client.oneshot(42).await?, 42);
/// # Ok::<(), tower::BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreakerLayer<C = ErrorsAsFailures> {
    breaker: CircuitBreaker,
    classifier: C,
    backpressure: bool,
}

impl CircuitBreakerLayer {
    /// A layer that counts every `Err` as a failure and rejects calls while the circuit is open.
    #[must_use]
    pub fn new(breaker: CircuitBreaker) -> Self {
        Self { breaker, classifier: ErrorsAsFailures, backpressure: false }
    }
}

impl<C> CircuitBreakerLayer<C> {
    /// Decides with `classifier` which results are failures: a closure
    /// `|result: Result<&Response, &Error>| -> Outcome`, or any other
    /// [`Classifier`](crate::Classifier). It is cloned for each call.
    #[must_use]
    pub fn classifier<D>(self, classifier: D) -> CircuitBreakerLayer<D> {
        CircuitBreakerLayer { breaker: self.breaker, classifier, backpressure: self.backpressure }
    }

    /// Makes an open circuit "not ready" instead of rejecting: `poll_ready` is pending until a probe
    /// may be admitted.
    ///
    /// For callers that would rather wait or go elsewhere, such as a load balancer, or `load_shed`,
    /// which turns it into an immediate error of its own. A call is still rejected if the circuit
    /// trips between its `poll_ready` and its `call`.
    ///
    /// Waiting needs a tokio runtime with timers; `poll_ready` panics without.
    #[must_use]
    pub fn backpressure(mut self) -> Self {
        self.backpressure = true;
        self
    }

    /// The breaker that all its services share.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }
}

impl<S, C: Clone> Layer<S> for CircuitBreakerLayer<C> {
    type Service = CircuitBreakerService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        let breaker = self.breaker.clone();
        CircuitBreakerService::new(inner, breaker, self.classifier.clone(), self.backpressure)
    }
}
