//! [`Fallback`]: what answers a call that was rejected.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::future::POLLED_AGAIN;
use crate::breaker::CircuitBreakerError;
use crate::circuit::Rejected;

/// Answers calls that the circuit has rejected, for example with cached data, with a default value, or by
/// calling another service.
///
/// A closure `|request, rejected| async { ... }` is a fallback. Its future returns a response or a
/// [`CircuitBreakerError`], which is either the rejection (`Err(rejected.into())`) or an error of the fallback
/// ([`CircuitBreakerError::Inner`]).
///
/// No lock is held while a fallback runs. The circuit does not count what a fallback returns.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer requests `{Request}` as the inner service does, with `Result<{Response}, CircuitBreakerError<{Error}>>`",
    label = "the fallback does not fit the inner service",
    note = "the guide `docs::compile_errors` has examples"
)]
pub trait Fallback<Request, Response, Error> {
    /// The future of the answer.
    type Future: Future<Output = Result<Response, CircuitBreakerError<Error>>>;

    /// Answers a request that was rejected and therefore not sent.
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

/// The default fallback, which returns the rejection as an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoFallback;

impl<Request, Response, Error> Fallback<Request, Response, Error> for NoFallback {
    type Future = RejectedFuture<Response, Error>;

    fn answer(&self, _: Request, rejected: Rejected) -> Self::Future {
        RejectedFuture { rejected: Some(rejected), answer: PhantomData }
    }
}

/// The future of [`NoFallback`]. It returns the rejection at once.
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
