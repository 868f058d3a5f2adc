//! The clients. Copy from this file.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::Sleep;
use tower::retry::Policy;
use tower::retry::budget::{Budget, TpsBudget};
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder};
use tower_breaker::{
    Backoff, CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerError, CircuitBreakerLayer,
    ConfigError, HalfOpen, Outcome, SlidingWindow, Transition,
};

/// The type of all clients.
pub(crate) type Client = BoxCloneService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

/// An attempt that takes this long has failed.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);
/// An attempt that takes this long is slow. A healthy backend answers within a few milliseconds.
pub(crate) const SLOW: Duration = Duration::from_millis(75);
/// An attempt that has taken this long and goes on counts as failed, long before its timeout ends.
pub(crate) const HUNG: Duration = Duration::from_millis(125);
/// How many calls there must be before the rates are judged.
pub(crate) const MINIMUM_CALLS: u32 = 20;
/// The longest time between two probes, apart from jitter. A real service should wait for seconds.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(600);
/// How long the full load takes to come back after the probes. A real service may need a minute.
pub(crate) const RAMP: Duration = Duration::from_millis(1500);

/// Creates the breaker. All callers of a dependency share one breaker.
pub(crate) fn breaker(
    on_transition: impl Fn(&Transition) + Send + Sync + 'static,
) -> Result<CircuitBreaker, ConfigError> {
    settings()
        // Sees a hang before the timeouts of the callers end.
        .hung_after(HUNG)
        // Closes after 3 successful probes, but not at once: the share of the calls that it admits grows until
        // the ramp ends. So a backend that comes back cold has time to warm up.
        .half_open(HalfOpen::consecutive_successes(3).ramp(RAMP))
        .on_transition(on_transition)
        .build()
}

/// Creates a breaker that sees a hang only when timeouts end, and returns to the full load at once. It shows
/// what the two settings are for.
pub(crate) fn simple_breaker() -> Result<CircuitBreaker, ConfigError> {
    settings().half_open(HalfOpen::consecutive_successes(3)).build()
}

/// The settings that both breakers have.
fn settings() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("backend")
        // Any of these rules trips the circuit. Setting one switches the default rules off, so set all that
        // you need: 5 consecutive failures, half of the last 40 calls failed, or half of them were slow.
        .consecutive_failures(5)
        .failure_rate_threshold(0.5)
        .slow_call_duration_threshold(SLOW)
        .slow_call_rate_threshold(0.5)
        .sliding_window(SlidingWindow::count(40))
        .minimum_calls(MINIMUM_CALLS)
        // The circuit then waits before it admits a probe, and longer each time a probe fails.
        .open_duration(Backoff::exponential(Duration::from_millis(250), LONGEST_WAIT))
        // Longer than the timeout, which ends a probe that hangs. This is a safety net for probes that
        // never report.
        .probe_timeout(2 * TIMEOUT)
}

/// Creates a protected client. A request passes through the layers from top to bottom.
pub(crate) fn protected(breaker: CircuitBreaker) -> Client {
    let stack = ServiceBuilder::new()
        // Boxes the errors. The box contains the original error: an `Elapsed`, an error of hyper's client, or
        // a `Rejected`. The breaker leaves no wrapper around it.
        .map_err(CircuitBreakerError::<BoxError>::into_boxed)
        // The retry is outside the breaker, so that the breaker sees every attempt. Inside, it would hide
        // failures from the breaker and keep calling a backend that is down.
        .retry(RetryOnce::new())
        // To hyper a 5xx is a response like any other, but the breaker should count it as a failure. A 4xx is
        // the fault of the caller. With the feature `http`, use `HttpClassifier` instead of this closure.
        .layer(CircuitBreakerLayer::new(breaker).classifier(
            |result: Result<&Response<Incoming>, &BoxError>| match result {
                Ok(response) if response.status().is_server_error() => Outcome::Failure,
                Ok(_) => Outcome::Success,
                Err(_) => Outcome::Failure,
            },
        ))
        // The timeout is inside the breaker, so that an attempt that hangs ends with an error that counts.
        // Outside, it would drop the attempt before the breaker sees a result.
        .timeout(TIMEOUT)
        .service(http_client());
    BoxCloneService::new(stack)
}

/// Creates the bare client. Many services use no more than this.
pub(crate) fn bare() -> Client {
    BoxCloneService::new(ServiceBuilder::new().timeout(TIMEOUT).service(http_client()))
}

/// Creates a client with a pool of keep-alive connections.
fn http_client() -> HttpClient<HttpConnector, Empty<Bytes>> {
    HttpClient::builder(TokioExecutor::new()).build_http()
}

/// Retries a failed call once, and only a small share of all calls.
#[derive(Clone)]
struct RetryOnce {
    /// Shared by all calls. Every call fails in an outage, and without a budget the retries would double the
    /// load at the worst moment.
    budget: Arc<TpsBudget>,
    /// The retries that this call has left. `Retry` clones the policy for each call.
    left: u32,
}

impl RetryOnce {
    fn new() -> Self {
        // Allows one retry per second, and one for every ten calls that succeeded in the last ten seconds.
        let budget = TpsBudget::new(Duration::from_secs(10), 1, 0.1);
        Self { budget: Arc::new(budget), left: 1 }
    }
}

type Attempt = Result<Response<Incoming>, CircuitBreakerError<BoxError>>;

impl Policy<Request<Empty<Bytes>>, Response<Incoming>, CircuitBreakerError<BoxError>>
    for RetryOnce
{
    type Future = Sleep;

    fn retry(&mut self, _: &mut Request<Empty<Bytes>>, result: &mut Attempt) -> Option<Sleep> {
        match result {
            Ok(response) if !response.status().is_server_error() => {
                self.budget.deposit();
                return None;
            }
            // The breaker rejected the attempt and will do so until its wait has elapsed, so return the
            // rejection now. For an error that has been boxed, use `error.is::<Rejected>()`.
            Err(error) if error.rejected().is_some() => return None,
            _ => {}
        }
        if self.left == 0 || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        Some(tokio::time::sleep(Duration::from_millis(50)))
    }

    /// All requests here are GET without a body. Return `None` for requests that must not be sent twice.
    fn clone_request(&mut self, request: &Request<Empty<Bytes>>) -> Option<Request<Empty<Bytes>>> {
        Some(request.clone())
    }
}
