//! A policy for [`tower::retry`] that knows rejections (feature `retry`).
//!
//! A call that the circuit rejected is safe to repeat, because nothing was sent, but until the circuit admits
//! calls again the result is the same. A policy that takes a rejection for an error like any other makes all of
//! its attempts within microseconds, and spends its budget on calls that were never made. [`RetryPolicy`] wraps
//! such a policy and keeps rejections from it:
//!
//! | result of an attempt | what happens |
//! |---|---|
//! | a rejection | It is not retried, and the wrapped policy is not asked. With [`wait_at_most`](RetryPolicy::wait_at_most) it is retried after its [`retry_after`](Rejected::retry_after). |
//! | a rejection by a circuit that was [forced open](crate::CircuitBreaker::force_open) until somebody resumes it | It is never retried, because only an operator ends this. |
//! | any other | The wrapped policy decides. |
//!
//! Add the retries outside the breaker, so that each attempt is admitted and counted; see
//! [the order of layers](crate::docs::layers). To wait for the circuit for as long as it takes, use
//! [`backpressure`](crate::CircuitBreakerLayer::backpressure) instead.
//!
//! # Example
//! ```
//! use std::future::{Ready, ready};
//! use std::time::Duration;
//! use tower::retry::{Policy, RetryLayer};
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::retry::RetryPolicy;
//! use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer};
//!
//! /// Retries any error, at once, as often as it says.
//! #[derive(Clone)]
//! struct Attempts(u32);
//!
//! impl<Res, E> Policy<u32, Res, E> for Attempts {
//!     type Future = Ready<()>;
//!
//!     fn retry(&mut self, _: &mut u32, result: &mut Result<Res, E>) -> Option<Ready<()>> {
//!         if result.is_ok() || self.0 == 0 {
//!             return None;
//!         }
//!         self.0 -= 1;
//!         Some(ready(()))
//!     }
//!
//!     fn clone_request(&mut self, request: &u32) -> Option<u32> {
//!         Some(*request)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let breaker = CircuitBreaker::new("payments");
//! let client = ServiceBuilder::new()
//!     .layer(RetryLayer::new(RetryPolicy::new(Attempts(2)).wait_at_most(Duration::from_secs(10))))
//!     .map_err(CircuitBreakerError::<BoxError>::into_boxed)
//!     .layer(CircuitBreakerLayer::new(breaker.clone()))
//!     .timeout(Duration::from_secs(1))
//!     .service(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }));
//!
//! breaker.trip();
//! // Rejected at first, and repeated about five seconds later.
//! let answer = tokio::spawn(client.oneshot(42)).await.unwrap();
//! assert_eq!(answer.unwrap(), 42);
//! # }
//! ```

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::retry::Policy;

use crate::breaker::CircuitBreakerError;
use crate::circuit::Rejected;

/// The shortest wait: tokio's timers are no finer. It keeps a rejection whose wait has just elapsed from being
/// retried at once, over and over.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Wraps a retry policy so that it does not retry rejections, or waits before it does.
///
/// The wrapped policy sees only the results of calls that were made. It keeps its attempts and its budget for
/// these. The error type of the service has to implement [`FindRejected`], as `BoxError` and
/// [`CircuitBreakerError`] do. See [the module](self) for an example.
#[derive(Debug, Clone)]
pub struct RetryPolicy<P> {
    policy: P,
    /// How long this request may still wait.
    patience: Duration,
}

impl<P> RetryPolicy<P> {
    /// Wraps a policy. Rejections are not retried.
    #[must_use]
    pub fn new(policy: P) -> Self {
        Self { policy, patience: Duration::ZERO }
    }

    /// Retries a rejection once its [`retry_after`](Rejected::retry_after) has passed, if that is not longer
    /// than `patience`. The default is zero, which never waits.
    ///
    /// The `patience` is for all waits of one request together. If the next attempt is rejected as well, for
    /// example because other callers took the probe slots, it waits again if there is enough patience left,
    /// and returns the rejection otherwise. Each wait takes at least a millisecond. The time that the attempts
    /// take does not count.
    ///
    /// # Panics
    ///
    /// The wait uses a timer of tokio, so an attempt that waits panics outside a tokio runtime.
    #[must_use]
    pub fn wait_at_most(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

impl<P, Req, Res, E> Policy<Req, Res, E> for RetryPolicy<P>
where
    P: Policy<Req, Res, E>,
    E: FindRejected,
{
    type Future = RetryFuture<P::Future>;

    fn retry(&mut self, req: &mut Req, result: &mut Result<Res, E>) -> Option<Self::Future> {
        let rejected = result.as_ref().err().and_then(FindRejected::find_rejected);
        let delay = match rejected {
            None => Delay::Policy { future: self.policy.retry(req, result)? },
            Some(rejected) => {
                let wait = rejected.retry_after()?.max(SHORTEST_WAIT);
                self.patience = self.patience.checked_sub(wait)?;
                Delay::Rejected { sleep: sleep(wait) }
            }
        };
        Some(RetryFuture { delay })
    }

    fn clone_request(&mut self, req: &Req) -> Option<Req> {
        self.policy.clone_request(req)
    }
}

/// An error that may be a rejection. Implement it for an error type of your own that contains [`Rejected`].
pub trait FindRejected {
    /// Returns the rejection, if this error is one.
    fn find_rejected(&self) -> Option<&Rejected>;
}

impl<E> FindRejected for CircuitBreakerError<E> {
    fn find_rejected(&self) -> Option<&Rejected> {
        self.rejected()
    }
}

/// Finds a rejection that is the error itself or one of its [sources](Error::source).
impl FindRejected for Box<dyn Error + Send + Sync> {
    fn find_rejected(&self) -> Option<&Rejected> {
        let mut error: &(dyn Error + 'static) = &**self;
        loop {
            match error.downcast_ref() {
                Some(rejected) => return Some(rejected),
                None => error = error.source()?,
            }
        }
    }
}

pin_project! {
    /// The future of [`RetryPolicy`]: ends when the next attempt may begin.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct RetryFuture<F> {
        #[pin]
        delay: Delay<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = DelayProj]
    enum Delay<F> {
        /// The wrapped policy decides when.
        Policy { #[pin] future: F },
        /// A rejection says when.
        Rejected { #[pin] sleep: Sleep },
    }
}

impl<F: Future<Output = ()>> Future for RetryFuture<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().delay.project() {
            DelayProj::Policy { future } => future.poll(cx),
            DelayProj::Rejected { sleep } => sleep.poll(cx),
        }
    }
}
