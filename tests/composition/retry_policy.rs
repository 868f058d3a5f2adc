//! `retry` with a `RetryPolicy`, which keeps rejections from the policy that it wraps.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, advance};
use tower::retry::RetryLayer;
use tower::retry::budget::{Budget, TpsBudget};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::retry::{FindRejected, RetryPolicy};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, RejectReason, Rejected, State};

use crate::retry::{Retries, retries};
use crate::{
    Dependency, Down, Health, WAIT, breaker, call, end_of, is_rejection, layer, open_breaker,
    rejection,
};

/// A policy that retries every error up to four times, and so would retry rejections.
fn any_error<E>() -> Retries<impl Fn(&E) -> bool + Clone> {
    retries(4, |_: &E| true)
}

fn client(
    breaker: &CircuitBreaker,
    dependency: &Dependency,
    patience: Duration,
) -> impl Service<u32, Response = u32, Error = CircuitBreakerError<Down>> + Clone + use<> {
    ServiceBuilder::new()
        .retry(RetryPolicy::new(any_error()).wait_at_most(patience))
        .layer(layer(breaker))
        .service(dependency.clone())
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_not_retried_and_leaves_attempts_and_budget_alone() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Well));
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(60), 1, 0.0));
    let policy = Retries {
        left: 4,
        budget: budget.clone(),
        is_worth_it: move |_: &BoxError| counter.fetch_add(1, Ordering::Relaxed) < usize::MAX,
    };
    let mut service = ServiceBuilder::new()
        .retry(RetryPolicy::new(policy))
        .map_err(BoxError::from)
        .layer(layer(&breaker))
        .service(dependency.clone());

    for _ in 0..100 {
        assert!(rejection(&call(&mut service).await.unwrap_err()).is_some());
    }

    assert_eq!(asked.load(Ordering::Relaxed), 0, "the wrapped policy was asked");
    assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 60, "the budget was used");
    assert_eq!(dependency.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn other_errors_are_retried_as_the_wrapped_policy_says_until_the_circuit_trips() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));

    let error = call(&mut client(&breaker, &dependency, Duration::ZERO)).await.unwrap_err();

    assert_eq!(error.rejected().unwrap().reason(), RejectReason::Open);
    assert_eq!(dependency.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_retried_exactly_when_its_retry_after_has_passed() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Well));
    advance(Duration::from_secs(3)).await;
    let start = Instant::now();

    assert_eq!(call(&mut client(&breaker, &dependency, WAIT)).await, Ok(7));

    assert_eq!(start.elapsed(), Duration::from_secs(7));
    assert_eq!((dependency.calls(), breaker.state()), (1, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_longer_than_the_patience_is_not_begun() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Well));
    let start = Instant::now();
    let patience = WAIT - Duration::from_millis(1);

    assert!(is_rejection(&call(&mut client(&breaker, &dependency, patience)).await));

    assert_eq!((start.elapsed(), dependency.calls()), (Duration::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn all_waits_of_one_request_share_its_patience_and_each_request_has_its_own() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Hanging));
    let service = client(&breaker, &dependency, 2 * WAIT + WAIT / 2);
    advance(WAIT).await;
    let _hanging_probe = breaker.try_acquire().unwrap();
    let start = Instant::now();

    let one = async || {
        let error = end_of(service.clone().oneshot(7)).await.unwrap_err();
        // Two rejections were waited for. A third open period would be longer than the rest.
        assert_eq!(error.rejected().unwrap().reason(), RejectReason::HalfOpen);
        assert_eq!(start.elapsed(), 2 * WAIT);
    };
    tokio::join!(one(), one());

    assert_eq!(dependency.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_was_forced_open_is_not_waited_for() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Well));
    breaker.force_open();
    let start = Instant::now();

    let error = call(&mut client(&breaker, &dependency, 10 * WAIT)).await.unwrap_err();

    assert_eq!(error.rejected().unwrap().reason(), RejectReason::ForcedOpen);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_was_forced_open_for_a_time_is_waited_for() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Well));
    breaker.force_open_for(WAIT);
    let start = Instant::now();

    call(&mut client(&breaker, &dependency, 10 * WAIT)).await.unwrap();

    assert_eq!(start.elapsed(), WAIT);
}

#[tokio::test(start_paused = true)]
async fn waiting_spends_no_attempts_of_the_wrapped_policy() {
    let breaker = crate::builder().consecutive_failures(100).build().unwrap();
    breaker.trip();
    let dependency = Dependency::new(Health::Failing);
    let start = Instant::now();

    // Each probe fails. The policy retries it, and that attempt is rejected.
    let result = call(&mut client(&breaker, &dependency, 3 * WAIT)).await;

    assert!(is_rejection(&result));
    assert_eq!((start.elapsed(), dependency.calls()), (3 * WAIT, 3));

    breaker.reset();
    let result = call(&mut client(&breaker, &dependency, 3 * WAIT)).await;
    assert_eq!(result, Err(CircuitBreakerError::Inner(Down)));
    assert_eq!(dependency.calls() - 3, 5, "one call and four retries");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_whose_wait_is_over_is_not_retried_at_once() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Well));
    let mut service = client(&breaker, &dependency, WAIT);
    // Ready while the circuit is open: the call is rejected whenever it is made.
    let ready = service.ready().await.unwrap();
    advance(2 * WAIT).await;
    let start = Instant::now();

    assert_eq!(end_of(ready.call(7)).await, Ok(7));

    let waited = start.elapsed();
    assert!(Duration::ZERO < waited && waited <= Duration::from_millis(2), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_that_wait_send_no_more_probes_than_permitted() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Hanging));
    let callers: Vec<_> =
        (0..1000).map(|_| tokio::spawn(boxed(&breaker, &dependency, WAIT).oneshot(7))).collect();

    tokio::time::sleep(WAIT + Duration::from_secs(1)).await;

    assert_eq!(dependency.calls(), 1);
    assert_eq!(callers.iter().filter(|caller| caller.is_finished()).count(), 999);
    callers.iter().for_each(tokio::task::JoinHandle::abort);
}

/// The recommended stack, as it is used in spawned tasks.
fn boxed(
    breaker: &CircuitBreaker,
    dependency: &Dependency,
    patience: Duration,
) -> impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Send + use<> {
    ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::new(any_error()).wait_at_most(patience)))
        .map_err(CircuitBreakerError::<BoxError>::into_boxed)
        .layer(layer(breaker))
        .timeout(Duration::from_secs(3600))
        .service(dependency.clone())
}

#[derive(Debug)]
struct Context(Rejected);

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("while paying")
    }
}

impl Error for Context {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_rejection_is_found_below_an_error_that_wraps_it_and_nothing_else_is_one() {
    let rejected = open_breaker().try_acquire().unwrap_err();

    assert_eq!(BoxError::from(Context(rejected.clone())).find_rejected(), Some(&rejected));
    assert_eq!(
        CircuitBreakerError::<Down>::Rejected(rejected.clone()).find_rejected(),
        Some(&rejected)
    );
    assert_eq!(BoxError::from(Down).find_rejected(), None);
    assert_eq!(CircuitBreakerError::Inner(Down).find_rejected(), None);
}
