//! The Tower types: layer, service, response future, readiness, classifier, fallback.
//!
//! # What belongs here
//!
//! What is Tower's: how readiness is granted, how a response becomes an outcome, and who answers a call
//! that was rejected. This layer imports all layers above it in the list of `lib.rs`, and knows no
//! protocol.
//!
//! # Where to start reading
//!
//! [`CircuitBreakerService`] is short: `poll_ready` and `call`. What they do to the circuit is in
//! [`readiness`], and what happens to the result in [`ResponseFuture`].

mod classifier;
mod fallback;
mod future;
mod readiness;
mod service;

use std::fmt;

use tower_layer::Layer;

pub use self::classifier::{Classifier, ErrorsAsFailures};
pub use self::fallback::{Fallback, NoFallback, RejectedFuture};
pub use self::future::ResponseFuture;
#[cfg(feature = "keyed")]
pub(crate) use self::readiness::NOT_READY;
use self::readiness::Readiness;
pub use self::service::CircuitBreakerService;
use crate::breaker::CircuitBreaker;

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
#[derive(Clone)]
pub struct CircuitBreakerLayer<C = ErrorsAsFailures, F = NoFallback> {
    breaker: CircuitBreaker,
    classifier: C,
    fallback: F,
    backpressure: bool,
}

impl CircuitBreakerLayer {
    /// A layer that counts every `Err` as a failure and rejects calls while the circuit is open.
    #[must_use]
    pub fn new(breaker: CircuitBreaker) -> Self {
        Self { breaker, classifier: ErrorsAsFailures, fallback: NoFallback, backpressure: false }
    }
}

impl<C, F> CircuitBreakerLayer<C, F> {
    /// Decides with `classifier` which results are failures: a closure
    /// `|result: Result<&Response, &Error>| -> Outcome`, or any other
    /// [`Classifier`]. It is cloned for each call.
    #[must_use]
    pub fn classifier<D>(self, classifier: D) -> CircuitBreakerLayer<D, F> {
        let Self { breaker, fallback, backpressure, .. } = self;
        CircuitBreakerLayer { breaker, classifier, fallback, backpressure }
    }

    /// Answers calls that the circuit turns away with `fallback`: a closure
    /// `|request, rejected| async { ... }`, or any other [`Fallback`]. It gets the
    /// request as it came, because nothing was sent: no clone is needed. It is cloned for each
    /// service.
    ///
    /// Failures of the inner service do not go there; tower's `then`, `or_else` and `map_result` are
    /// for those.
    ///
    /// # Example
    /// ```
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Rejected};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let breaker = CircuitBreaker::new("rates");
    /// let layer = CircuitBreakerLayer::new(breaker.clone())
    ///     .fallback(|_currency: &str, _: Rejected| async { Ok(1.08) }); // yesterday's rate
    ///
    /// let rates = ServiceBuilder::new()
    ///     .layer(layer)
    ///     .service(service_fn(|_: &str| async { Ok::<_, std::io::Error>(1.10) }));
    ///
    /// assert_eq!(rates.clone().oneshot("EUR").await.unwrap(), 1.10);
    /// breaker.trip();
    /// assert_eq!(rates.oneshot("EUR").await.unwrap(), 1.08);
    /// # });
    /// ```
    #[must_use]
    pub fn fallback<G>(self, fallback: G) -> CircuitBreakerLayer<C, G> {
        let Self { breaker, classifier, backpressure, .. } = self;
        CircuitBreakerLayer { breaker, classifier, fallback, backpressure }
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

impl<S, C: Clone, F: Clone> Layer<S> for CircuitBreakerLayer<C, F> {
    type Service = CircuitBreakerService<S, C, F>;

    fn layer(&self, inner: S) -> Self::Service {
        let readiness = Readiness::new(self.breaker.clone(), self.backpressure);
        CircuitBreakerService::with_parts(
            inner,
            self.classifier.clone(),
            self.fallback.clone(),
            readiness,
        )
    }
}

impl<C, F> fmt::Debug for CircuitBreakerLayer<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerLayer")
            .field("breaker", &self.breaker)
            .field("backpressure", &self.backpressure)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod no_lock;
