//! [`CircuitBreakerService`].

use std::task::{Context, Poll, ready};

use tower_service::Service;

use crate::breaker::CircuitBreaker;
use crate::classify::{Classifier, ErrorsAsFailures};
use crate::error::CircuitBreakerError;
use crate::future::ResponseFuture;
use crate::gate::{Gate, Passage};
use crate::permit::Permit;

/// A service behind a [`CircuitBreaker`]; made by
/// [`CircuitBreakerLayer`](crate::CircuitBreakerLayer).
///
/// # Readiness
/// While the circuit is open, `poll_ready` is ready at once, without asking the inner service, and
/// `call` returns the rejection; so is it while half-open, when all probes are in flight. Otherwise
/// it is ready when the inner service is. A clone starts without readiness.
///
/// # Errors
/// [`CircuitBreakerError::Rejected`] if the circuit did not admit the call,
/// [`CircuitBreakerError::Inner`] with the error of the inner service. An error of the inner
/// service's `poll_ready` is classified like that of a call and passed on.
///
/// # Panics
/// `call` panics if `poll_ready` has not returned `Ready(Ok(()))` since the last call.
#[derive(Debug, Clone)]
pub struct CircuitBreakerService<S, C = ErrorsAsFailures> {
    inner: S,
    classifier: C,
    gate: Gate,
}

impl<S, C> CircuitBreakerService<S, C> {
    pub(crate) fn new(
        inner: S,
        breaker: CircuitBreaker,
        classifier: C,
        backpressure: bool,
    ) -> Self {
        Self { inner, classifier, gate: Gate::new(breaker, backpressure) }
    }

    /// The breaker.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        self.gate.breaker()
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

impl<S, C, Request> Service<Request> for CircuitBreakerService<S, C>
where
    S: Service<Request>,
    C: Classifier<S::Response, S::Error> + Clone,
{
    type Response = C::Response;
    type Error = CircuitBreakerError<S::Error>;
    type Future = ResponseFuture<S::Future, C>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Passage::Granted = ready!(self.gate.poll(cx)) {
            return Poll::Ready(Ok(()));
        }
        match self.inner.poll_ready(cx) {
            Poll::Ready(Ok(())) => {
                self.gate.grant();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                if let Some(permit) = self.gate.fail() {
                    self.classifier.error(&error, permit);
                }
                Poll::Ready(Err(CircuitBreakerError::Inner(error)))
            }
            Poll::Pending => {
                self.gate.wait(cx);
                Poll::Pending
            }
        }
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(permit) = self.gate.enter_if_closed() {
            return self.call_admitted(request, permit);
        }
        match self.gate.enter() {
            Ok(permit) => self.call_admitted(request, permit),
            Err(rejected) => ResponseFuture::rejected(rejected),
        }
    }
}

impl<S, C: Clone> CircuitBreakerService<S, C> {
    #[inline]
    fn call_admitted<Request>(
        &mut self,
        request: Request,
        permit: Permit,
    ) -> ResponseFuture<S::Future, C>
    where
        S: Service<Request>,
    {
        let (future, permit) = permit.failing_on_panic(|| self.inner.call(request));
        ResponseFuture::admitted(future, permit, self.classifier.clone())
    }
}
