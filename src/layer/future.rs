//! [`ResponseFuture`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

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
                assert!(permit.is_some(), "{POLLED_AGAIN}");
                let result = ready!(FailOnPanic(permit).during(|| future.poll(cx)));
                let permit = permit.take().expect("it was there before the poll");
                match result {
                    Ok(response) => Poll::Ready(Ok(classifier.response(response, permit))),
                    Err(error) => {
                        classifier.error(&error, permit);
                        Poll::Ready(Err(CircuitBreakerError::Inner(error)))
                    }
                }
            }
            CallProjection::Rejected { fallback } => fallback.poll(cx),
        }
    }
}

/// Settles the permit as a failure if it is dropped. The permit stays in the future, because moving it out and
/// back would take longer than everything else here (`cargo bench --bench instructions`, "ready + call").
struct FailOnPanic<'a>(&'a mut Option<Permit>);

impl FailOnPanic<'_> {
    #[inline]
    fn during<T>(self, part: impl FnOnce() -> T) -> T {
        let result = part();
        std::mem::forget(self); // there was no panic
        result
    }
}

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.failure();
        }
    }
}

pub(super) const POLLED_AGAIN: &str = "a future was polled after it had completed or panicked";

impl<F, C, R> fmt::Debug for ResponseFuture<F, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
