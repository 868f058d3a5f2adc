//! [`ResponseFuture`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::classifier::Classifier;
use crate::breaker::CircuitBreakerError;
use crate::circuit::Permit;

pin_project! {
    /// The response future of a [`CircuitBreakerService`](crate::CircuitBreakerService).
    ///
    /// `F` is the future of the inner service, `C` is the classifier, and `R` is the future of the
    /// [fallback](crate::Fallback).
    ///
    /// When the inner future completes, the classifier reports the outcome of the call. If the inner future
    /// panics, the call has failed. Dropping this future before it completes abandons the call.
    pub struct ResponseFuture<F, C, R> {
        #[pin]
        call: Call<F, C, R>,
    }
}

pin_project! {
    #[project = CallProjection]
    enum Call<F, C, R> {
        Admitted {
            #[pin]
            future: F,
            permit: Option<Permit>,
            classifier: C,
        },
        Rejected {
            #[pin]
            fallback: R,
        },
    }
}

impl<F, C, R> ResponseFuture<F, C, R> {
    #[inline]
    pub(crate) fn admitted(future: F, permit: Permit, classifier: C) -> Self {
        Self { call: Call::Admitted { future, permit: Some(permit), classifier } }
    }

    pub(crate) fn rejected(fallback: R) -> Self {
        Self { call: Call::Rejected { fallback } }
    }
}

impl<F, C, R, Response, Error> Future for ResponseFuture<F, C, R>
where
    F: Future<Output = Result<Response, Error>>,
    C: Classifier<Response, Error>,
    R: Future<Output = Result<C::Response, CircuitBreakerError<Error>>>,
{
    type Output = Result<C::Response, CircuitBreakerError<Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().call.project() {
            CallProjection::Admitted { future, permit, classifier } => {
                let admitted = permit.take().expect(POLLED_AGAIN);
                match admitted.failing_on_panic(|| future.poll(cx)) {
                    (Poll::Pending, admitted) => {
                        *permit = Some(admitted);
                        Poll::Pending
                    }
                    (Poll::Ready(Ok(response)), admitted) => {
                        Poll::Ready(Ok(classifier.response(response, admitted)))
                    }
                    (Poll::Ready(Err(error)), admitted) => {
                        classifier.error(&error, admitted);
                        Poll::Ready(Err(CircuitBreakerError::Inner(error)))
                    }
                }
            }
            CallProjection::Rejected { fallback } => fallback.poll(cx),
        }
    }
}

pub(super) const POLLED_AGAIN: &str = "a future was polled after it had completed or panicked";

impl<F, C, R> fmt::Debug for ResponseFuture<F, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
