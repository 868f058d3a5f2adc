//! The Tower types: layer, service, response future, readiness, classifier, fallback.
//!
//! # What belongs here
//!
//! Everything that is specific to Tower: how a service becomes ready, how a response becomes an outcome, and
//! what answers a call that was rejected. This layer imports all layers above it in the list of `lib.rs`. It
//! knows no protocol.
//!
//! # Where to start reading
//!
//! Start with `poll_ready` and `call` of [`CircuitBreakerService`], which are short. [`readiness`] is what
//! they do to the circuit, and [`ResponseFuture`] is what happens to the result.

mod classifier;
mod describing;
mod fallback;
mod future;
mod readiness;
mod service;

use std::fmt;

use tower_layer::Layer;

pub use self::classifier::{Classifier, ErrorsAsFailures};
pub use self::describing::Describing;
pub use self::fallback::{Fallback, NoFallback, RejectedFuture};
pub use self::future::ResponseFuture;
#[cfg(feature = "keyed")]
pub(crate) use self::readiness::NOT_READY;
use self::readiness::Readiness;
pub use self::service::CircuitBreakerService;
use crate::breaker::CircuitBreaker;

/// Puts a [`CircuitBreaker`] in front of a service.
///
/// All services that a layer makes share its circuit, so it does not matter how often
/// [`layer`](Layer::layer) runs. axum runs it once per route, or even once per request. Create one breaker
/// for each dependency, not one for each request.
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
    /// Creates a layer that counts every `Err` as a failure and rejects calls while the circuit is open.
    #[must_use]
    pub fn new(breaker: CircuitBreaker) -> Self {
        Self { breaker, classifier: ErrorsAsFailures, fallback: NoFallback, backpressure: false }
    }
}

impl<C, F> CircuitBreakerLayer<C, F> {
    /// Sets the classifier, which decides which results are failures. It is cloned for each call.
    ///
    /// A classifier is a closure `|result: Result<&Response, &Error>| -> Outcome`, or any other
    /// [`Classifier`].
    #[must_use]
    pub fn classifier<D>(self, classifier: D) -> CircuitBreakerLayer<D, F> {
        let Self { breaker, fallback, backpressure, .. } = self;
        CircuitBreakerLayer { breaker, classifier, fallback, backpressure }
    }

    /// Sets the fallback, which answers the calls that the circuit rejects. It is cloned for each service.
    ///
    /// A fallback is a closure `|request, rejected| async { ... }`, or any other [`Fallback`]. It receives the
    /// original request, because the request was not sent. The request does not have to implement `Clone`.
    ///
    /// Failures of the inner service do not reach the fallback. Use tower's `then`, `or_else` or `map_result`
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

    /// Makes `poll_ready` wait until a call can be admitted, instead of rejecting calls.
    ///
    /// `poll_ready` is then pending while the circuit is open, and while it is half-open without a free probe
    /// slot. Use this for callers that wait or go elsewhere, such as a load balancer, or `load_shed`, which
    /// turns "not ready" into an error of its own.
    ///
    /// A call is still rejected if the circuit opens after the last `poll_ready` and before `call`. If
    /// `poll_ready` is called again in between, it is pending again, although it has returned `Ready` before.
    /// That departs from the letter of `Service::poll_ready`, and happens in this mode only, because tower's
    /// balancer asks again before each call and expects it. The inner service stays ready for a later call.
    ///
    /// # Panics
    /// `poll_ready` of the services panics if it has to wait outside of a tokio runtime with timers.
    #[must_use]
    pub fn backpressure(mut self) -> Self {
        self.backpressure = true;
        self
    }

    /// Returns the breaker that all services of this layer share.
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
