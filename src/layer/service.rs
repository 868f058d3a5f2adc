//! [`CircuitBreakerService`].

use std::fmt;
use std::task::{Context, Poll, ready};

use tower_service::Service;

use super::classifier::{Classifier, ErrorsAsFailures};
use super::fallback::{Fallback, NoFallback};
use super::future::ResponseFuture;
use super::readiness::{Readiness, Step};
use crate::breaker::{CircuitBreaker, CircuitBreakerError};
use crate::circuit::Permit;

/// A service behind a [`CircuitBreaker`], made by [`CircuitBreakerLayer`](crate::CircuitBreakerLayer).
///
/// # Readiness
/// While the circuit is closed, the service is ready when the inner service is. The call is admitted in
/// `call`, so it is rejected if the circuit opens in between.
///
/// While the circuit is open, `poll_ready` returns `Ready` at once without asking the inner service, and
/// `call` rejects. It does so even if the circuit has closed in the meantime, because the inner service was
/// never asked. The same holds while half-open without a free probe slot, and for the calls that a circuit does
/// not admit while it [recovers](crate::HalfOpen::ramp). With
/// [`backpressure`](crate::CircuitBreakerLayer::backpressure), `poll_ready` waits instead.
///
/// While half-open, `poll_ready` takes a probe slot and then asks the inner service. If the inner service
/// does not become ready within the [probe timeout](crate::CircuitBreakerBuilder::probe_timeout), the probe
/// has failed. If it becomes ready, the slot waits for `call`, but another caller that finds no free slot may
/// take it. A `call` without its slot asks for admission again.
///
/// A clone is not ready. It has to be polled first.
///
/// If a call is rejected after the inner service has become ready, the inner service stays ready. What it
/// has reserved, as `ConcurrencyLimit` and `Buffer` do, stays reserved until this service is called again or
/// dropped. If you keep services for long and use them seldom, put such layers outside of the breaker.
///
/// # Errors
/// Returns [`CircuitBreakerError::Rejected`] if the circuit did not admit the call and there is no
/// [fallback](crate::CircuitBreakerLayer::fallback). Returns [`CircuitBreakerError::Inner`] with the error
/// of the inner service. If `poll_ready` of the inner service fails, the error is classified like the error
/// of a call and returned.
///
/// # Panics
/// `call` panics if `poll_ready` has not returned `Ready(Ok(()))` since the last call. `poll_ready` panics in
/// a tokio runtime without timers if the inner service is not ready while half-open, because the probe slot
/// expires by a timer.
#[derive(Clone)]
pub struct CircuitBreakerService<S, C = ErrorsAsFailures, F = NoFallback> {
    inner: S,
    classifier: C,
    fallback: F,
    readiness: Readiness,
}

impl<S> CircuitBreakerService<S> {
    /// Puts a breaker in front of a service, without a layer.
    ///
    /// Every `Err` counts as a failure, and calls are rejected while the circuit is open. Use a
    /// [`CircuitBreakerLayer`](crate::CircuitBreakerLayer) to change that.
    ///
    /// # Example
    /// ```
    /// use tower::{ServiceExt, service_fn};
    /// use tower_breaker::{CircuitBreaker, CircuitBreakerService};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let double = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(2 * n) });
    /// let double = CircuitBreakerService::new(double, CircuitBreaker::new("double"));
    /// assert_eq!(double.oneshot(21).await.unwrap(), 42);
    /// # });
    /// ```
    #[must_use]
    pub fn new(inner: S, breaker: CircuitBreaker) -> Self {
        let readiness = Readiness::new(breaker, false);
        Self::with_parts(inner, ErrorsAsFailures, NoFallback, readiness)
    }
}

impl<S, C, F> CircuitBreakerService<S, C, F> {
    pub(super) fn with_parts(inner: S, classifier: C, fallback: F, readiness: Readiness) -> Self {
        Self { inner, classifier, fallback, readiness }
    }

    /// Returns the breaker.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        self.readiness.breaker()
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

    /// Returns the inner service, and drops the handle to the breaker.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, C, F, Request> Service<Request> for CircuitBreakerService<S, C, F>
where
    S: Service<Request>,
    C: Classifier<S::Response, S::Error> + Clone,
    F: Fallback<Request, C::Response, S::Error>,
{
    type Response = C::Response;
    type Error = CircuitBreakerError<S::Error>;
    type Future = ResponseFuture<S::Future, C, F::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Step::Ready = ready!(self.readiness.poll(cx)) {
            return Poll::Ready(Ok(()));
        }
        match self.inner.poll_ready(cx) {
            Poll::Ready(Ok(())) => {
                self.readiness.set_ready();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                if let Some(permit) = self.readiness.fail() {
                    self.classifier.error(&error, permit);
                }
                Poll::Ready(Err(CircuitBreakerError::Inner(error)))
            }
            Poll::Pending => {
                self.readiness.wait(cx);
                Poll::Pending
            }
        }
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(permit) = self.readiness.admit_if_closed() {
            return self.call_admitted(request, permit);
        }
        match self.readiness.admit() {
            Ok(permit) => self.call_admitted(request, permit),
            Err(refusal) => {
                let rejected = self.readiness.breaker().reject(refusal);
                ResponseFuture::rejected(self.fallback.answer(request, rejected))
            }
        }
    }
}

impl<S, C: Clone, F> CircuitBreakerService<S, C, F> {
    #[inline]
    fn call_admitted<Request, R>(
        &mut self,
        request: Request,
        permit: Permit,
    ) -> ResponseFuture<S::Future, C, R>
    where
        S: Service<Request>,
    {
        let (future, permit) = permit.failing_on_panic(|| self.inner.call(request));
        ResponseFuture::admitted(future, permit, self.classifier.clone())
    }
}

impl<S: fmt::Debug, C, F> fmt::Debug for CircuitBreakerService<S, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerService")
            .field("inner", &self.inner)
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}
