//! What answers a call that was turned away.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::future::POLLED_AGAIN;
use crate::breaker::CircuitBreakerError;
use crate::circuit::Rejected;

/// Answers calls that the circuit has turned away: with cached data, a default, or by a call to
/// somebody else.
///
/// A closure `|request, rejected| async { ... }` is a fallback. Its future ends with the response, or
/// with a [`CircuitBreakerError`]: the rejection itself, if there is nothing better
/// (`Err(rejected.into())`), or an error of its own ([`CircuitBreakerError::Inner`]).
///
/// It runs without any lock held; what it does is not counted.
///
/// # Example
/// ```
/// use std::io::Error;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Rejected};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let primary = service_fn(|n: u32| async move { Ok::<_, Error>(format!("primary {n}")) });
/// let replica = service_fn(|n: u32| async move { Ok::<_, Error>(format!("replica {n}")) });
///
/// let breaker = CircuitBreaker::new("primary");
/// let layer = CircuitBreakerLayer::new(breaker.clone()).fallback(move |n: u32, _: Rejected| {
///     async move { replica.oneshot(n).await.map_err(CircuitBreakerError::Inner) }
/// });
/// let service = ServiceBuilder::new().layer(layer).service(primary);
///
/// breaker.force_open();
/// assert_eq!(service.oneshot(7).await.unwrap(), "replica 7");
/// # });
/// ```
pub trait Fallback<Request, Response, Error> {
    /// The answer to come.
    type Future: Future<Output = Result<Response, CircuitBreakerError<Error>>>;

    /// Answers a request that was not sent.
    fn answer(&self, request: Request, rejected: Rejected) -> Self::Future;
}

impl<F, Answer, Request, Response, Error> Fallback<Request, Response, Error> for F
where
    F: Fn(Request, Rejected) -> Answer,
    Answer: Future<Output = Result<Response, CircuitBreakerError<Error>>>,
{
    type Future = Answer;

    fn answer(&self, request: Request, rejected: Rejected) -> Answer {
        self(request, rejected)
    }
}

/// The default: the answer is the rejection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoFallback;

impl<Request, Response, Error> Fallback<Request, Response, Error> for NoFallback {
    type Future = RejectedFuture<Response, Error>;

    fn answer(&self, _: Request, rejected: Rejected) -> Self::Future {
        RejectedFuture { rejected: Some(rejected), answer: PhantomData }
    }
}

/// The future of [`NoFallback`]: ends at once with the rejection.
pub struct RejectedFuture<Response, Error> {
    rejected: Option<Rejected>,
    answer: PhantomData<fn() -> Result<Response, Error>>,
}

impl<Response, Error> Future for RejectedFuture<Response, Error> {
    type Output = Result<Response, CircuitBreakerError<Error>>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(self.rejected.take().expect(POLLED_AGAIN).into()))
    }
}

impl<Response, Error> fmt::Debug for RejectedFuture<Response, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedFuture").finish_non_exhaustive()
    }
}
