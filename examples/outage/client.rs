//! The two clients. This is the part to copy.

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
    Backoff, CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, ConfigError, HalfOpen,
    Outcome, SlidingWindow, Transition,
};

/// Both clients look like this from outside.
pub(crate) type Client = BoxCloneService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

/// After this time an attempt has failed.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);
/// An attempt that takes so long counts as slow. A healthy backend answers within a few ms.
pub(crate) const SLOW: Duration = Duration::from_millis(200);
/// How many calls it takes to judge.
pub(crate) const MINIMUM_CALLS: u32 = 20;
/// The longest time between two probes, jitter aside. A real service would wait for seconds; this
/// demonstration has no time for that.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(600);

/// One breaker for one dependency, shared by all who call it.
pub(crate) fn breaker(
    on_transition: impl Fn(&Transition) + Send + Sync + 'static,
) -> Result<CircuitBreaker, ConfigError> {
    CircuitBreaker::builder("backend")
        // Either of these trips it: half of the last 40 calls failed, or half of them were slow.
        .failure_rate_threshold(0.5)
        .slow_call_duration_threshold(SLOW)
        .slow_call_rate_threshold(0.5)
        .sliding_window(SlidingWindow::count(40))
        .minimum_calls(MINIMUM_CALLS)
        // Then it waits before it probes, longer each time that the probes fail.
        .open_duration(Backoff::exponential(Duration::from_millis(250), LONGEST_WAIT))
        .half_open(HalfOpen::consecutive_successes(3))
        // Longer than the timeout, which ends a probe that hangs. This is for what gets lost.
        .probe_timeout(2 * TIMEOUT)
        .on_transition(on_transition)
        .build()
}

/// The protected client. A request passes through the layers from top to bottom.
pub(crate) fn protected(breaker: CircuitBreaker) -> Client {
    let stack = ServiceBuilder::new()
        // From here on an error is what the layers inside said, in a box: an `Elapsed`, an error of
        // hyper's client, or a `Rejected`. The breaker leaves no wrapper around it.
        .map_err(BoxError::from)
        // Retry is outside of the breaker, so that the breaker sees each attempt. Inside, it would
        // hide failures from the breaker and go on hammering a backend that is down.
        .retry(RetryOnce::new())
        // To the breaker a 5xx is a failure, although to hyper it is a response like any other. A
        // 4xx is the caller's fault and says nothing bad about the backend.
        .layer(CircuitBreakerLayer::new(breaker).classifier(
            |result: Result<&Response<Incoming>, &BoxError>| match result {
                Ok(response) if response.status().is_server_error() => Outcome::Failure,
                Ok(_) => Outcome::Success,
                Err(_) => Outcome::Failure,
            },
        ))
        // The timeout is inside of the breaker, so that an attempt that hangs ends in an error that
        // counts. Outside, it would drop the attempt before the breaker knows its result.
        .timeout(TIMEOUT)
        .service(http_client());
    BoxCloneService::new(stack)
}

/// The bare client: all that many services have.
pub(crate) fn bare() -> Client {
    BoxCloneService::new(ServiceBuilder::new().timeout(TIMEOUT).service(http_client()))
}

/// A client with a pool of keep-alive connections.
fn http_client() -> HttpClient<HttpConnector, Empty<Bytes>> {
    HttpClient::builder(TokioExecutor::new()).build_http()
}

/// Retries a call that failed, once, and no more than a few of all calls.
#[derive(Clone)]
struct RetryOnce {
    /// Shared by all calls. In an outage every call fails; without a budget, retries would double
    /// the load at the worst moment.
    budget: Arc<TpsBudget>,
    /// Of this call: `Retry` clones the policy for each.
    left: u32,
}

impl RetryOnce {
    fn new() -> Self {
        // One retry per second, and one per ten calls that succeeded in the last ten seconds.
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
            // The breaker said no. It will say no again until the wait is over, so tell the caller
            // now. If the error is boxed already, ask `error.is::<Rejected>()` instead.
            Err(error) if error.rejected().is_some() => return None,
            _ => {}
        }
        if self.left == 0 || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        Some(tokio::time::sleep(Duration::from_millis(50)))
    }

    /// All requests here are GET without a body. Return `None` for what must not be sent twice.
    fn clone_request(&mut self, request: &Request<Empty<Bytes>>) -> Option<Request<Empty<Bytes>>> {
        Some(request.clone())
    }
}
