//! The future of [`CircuitBreaker::call`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::CircuitBreaker;
use super::error::CircuitBreakerError;
use crate::circuit::{Outcome, Permit};

pin_project! {
    /// Written by hand, because an async function would hold the protected future twice: as its argument and
    /// as what it awaits.
    pub(super) struct Call<'a, F, C> {
        breaker: &'a CircuitBreaker,
        #[pin]
        future: F,
        // `None` before the first poll, and while the future is being polled.
        permit: Option<Permit>,
        // `None` once the call has ended, and while the future is being polled.
        classify: Option<C>,
    }
}

impl<'a, F, C> Call<'a, F, C> {
    pub(super) fn new(breaker: &'a CircuitBreaker, future: F, classify: C) -> Self {
        Self { breaker, future, permit: None, classify: Some(classify) }
    }
}

impl<F, C, T, E> Future for Call<'_, F, C>
where
    F: Future<Output = Result<T, E>>,
    C: FnOnce(&Result<T, E>) -> Outcome,
{
    type Output = Result<T, CircuitBreakerError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let classify = this.classify.take().expect("a call is not polled after it has ended");
        let permit = match this.permit.take() {
            Some(permit) => permit,
            None => this.breaker.try_acquire()?,
        };
        let (poll, permit) = permit.failing_on_panic(|| this.future.poll(cx));
        let Poll::Ready(result) = poll else {
            (*this.permit, *this.classify) = (Some(permit), Some(classify));
            return Poll::Pending;
        };
        permit.record(classify(&result));
        Poll::Ready(result.map_err(CircuitBreakerError::Inner))
    }
}

pub(super) fn errors_are_failures<T, E>(result: &Result<T, E>) -> Outcome {
    if result.is_ok() { Outcome::Success } else { Outcome::Failure }
}
