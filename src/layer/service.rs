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

/// A service behind a [`CircuitBreaker`]; made by
/// [`CircuitBreakerLayer`](crate::CircuitBreakerLayer).
///
/// # Readiness
/// While the circuit is open, `poll_ready` is ready at once, without asking the inner service, and
/// `call` returns the rejection; so is it while half-open, when all probes are in flight. Otherwise
/// it is ready when the inner service is. A clone starts without readiness.
///
/// A call that is rejected although the inner service was ready, because the circuit opened in
/// between, leaves it ready. If that reserves something, as `ConcurrencyLimit` and `Buffer` do, it stays
/// reserved until this service is called again or dropped. So where services are kept long and used
/// seldom, put such layers outside.
///
/// # Errors
/// [`CircuitBreakerError::Rejected`] if the circuit did not admit the call and there is no
/// [fallback](crate::CircuitBreakerLayer::fallback), [`CircuitBreakerError::Inner`] with the error of
/// the inner service. An error of the inner service's `poll_ready` is classified like that of a call
/// and passed on.
///
/// # Panics
/// `call` panics if `poll_ready` has not returned `Ready(Ok(()))` since the last call. `poll_ready`
/// panics in a tokio runtime without timers if it has to wait while half-open: for an inner service
/// that is not ready, as the place of a probe ends in time.
#[derive(Clone)]
pub struct CircuitBreakerService<S, C = ErrorsAsFailures, F = NoFallback> {
    inner: S,
    classifier: C,
    fallback: F,
    readiness: Readiness,
}

impl<S> CircuitBreakerService<S> {
    /// Puts a breaker in front of a service, without a layer. Every `Err` is a failure, and calls are
    /// rejected while the circuit is open; a [`CircuitBreakerLayer`](crate::CircuitBreakerLayer) can decide
    /// otherwise.
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

    /// The breaker.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        self.readiness.breaker()
    }

    /// The inner service.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the breaker off.
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
