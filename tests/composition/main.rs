//! The breaker together with tower's own middleware, in the orders that people use, right or wrong. The
//! stacks compile and behave as documented.

mod balance;
mod buffer;
mod fallback;
mod limits;
mod load_shed;
mod parts;
mod retry;
#[cfg(feature = "retry")]
mod retry_policy;
mod timeouts;
mod util;

use std::error::Error;
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;
use tower::{BoxError, Service, ServiceExt};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerError, CircuitBreakerLayer, HalfOpen,
    Rejected,
};

/// The open period of the circuits in these tests.
const WAIT: Duration = Duration::from_secs(10);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Trips on the second consecutive failure, and closes after one successful probe.
fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("backend")
        .consecutive_failures(2)
        .open_duration(WAIT)
        .half_open(HalfOpen::consecutive_successes(1))
}

fn breaker() -> CircuitBreaker {
    builder().build().unwrap()
}

fn layer(breaker: &CircuitBreaker) -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(breaker.clone())
}

/// Creates a breaker that is open and stays so for [`WAIT`].
fn open_breaker() -> CircuitBreaker {
    let breaker = breaker();
    breaker.trip();
    breaker
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// Answers with the request.
    Well,
    /// Answers with [`Down`].
    Failing,
    /// Never answers.
    Hanging,
}

/// The error of a dependency that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the dependency is down")
    }
}

impl Error for Down {}

/// What the breaker protects. It counts the calls that reach it, and insists on Tower's contract: each call
/// needs readiness, which lasts for one call and which a clone does not have.
#[derive(Debug)]
struct Dependency {
    shared: Arc<Shared>,
    is_ready: bool,
}

#[derive(Debug)]
struct Shared {
    health: Mutex<Health>,
    calls: AtomicUsize,
}

impl Dependency {
    fn new(health: Health) -> Self {
        let shared = Shared { health: Mutex::new(health), calls: AtomicUsize::new(0) };
        Self { shared: Arc::new(shared), is_ready: false }
    }

    fn becomes(&self, health: Health) {
        *self.shared.health.lock().unwrap() = health;
    }

    fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::Relaxed)
    }
}

impl Clone for Dependency {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), is_ready: false }
    }
}

impl Service<u32> for Dependency {
    type Response = u32;
    type Error = Down;
    type Future = Pin<Box<dyn Future<Output = Result<u32, Down>> + Send + Sync>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without readiness");
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let health = *self.shared.health.lock().unwrap();
        Box::pin(async move {
            match health {
                Health::Well => Ok(request),
                Health::Failing => Err(Down),
                Health::Hanging => pending().await,
            }
        })
    }
}

/// Awaits a future that should complete. With a paused clock, a test that hangs fails at once.
async fn end_of<F: Future>(future: F) -> F::Output {
    timeout(DAY, future).await.expect("it never ends")
}

/// Waits for readiness, calls, and keeps the service.
async fn call<S: Service<u32>>(service: &mut S) -> Result<S::Response, S::Error> {
    end_of(async { service.ready().await?.call(7).await }).await
}

/// Returns the rejection in an error that has been boxed.
fn rejection(error: &BoxError) -> Option<&Rejected> {
    error.downcast_ref()
}

fn is_rejection<T, E>(result: &Result<T, CircuitBreakerError<E>>) -> bool {
    matches!(result, Err(error) if error.rejected().is_some())
}
