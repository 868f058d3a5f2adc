//! `retry` with a budget: outside, the breaker counts every attempt as a call. Inside, it counts all attempts
//! as one.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::advance;
use tower::retry::Policy;
use tower::retry::budget::{Budget, TpsBudget};
use tower::{BoxError, Service, ServiceBuilder, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, RejectReason, State};

use crate::{
    Dependency, Down, Health, WAIT, breaker, builder, call, is_rejection, layer, open_breaker,
};

/// Retries some errors, as often as it is allowed to and as the budget permits.
#[derive(Clone)]
pub(crate) struct Retries<F> {
    pub(crate) left: u32,
    pub(crate) budget: Arc<TpsBudget>,
    pub(crate) is_worth_it: F,
}

impl<F, E> Policy<u32, u32, E> for Retries<F>
where
    F: Fn(&E) -> bool,
{
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u32, result: &mut Result<u32, E>) -> Option<Self::Future> {
        match result {
            Ok(_) => self.budget.deposit(),
            Err(error) => {
                if !(self.is_worth_it)(error) || self.left == 0 || !self.budget.withdraw() {
                    return None;
                }
                self.left -= 1;
                return Some(ready(()));
            }
        }
        None
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

/// Whether an error is worth a retry. A rejection is not.
fn not_rejected<E>(error: &CircuitBreakerError<E>) -> bool {
    error.rejected().is_none()
}

pub(crate) fn retries<F>(left: u32, is_worth_it: F) -> Retries<F> {
    Retries { left, budget: Arc::new(TpsBudget::default()), is_worth_it }
}

fn retry_outside(
    breaker: &CircuitBreaker,
    dependency: &Dependency,
) -> impl Service<u32, Response = u32, Error = CircuitBreakerError<Down>> + use<> {
    ServiceBuilder::new()
        .retry(retries(4, not_rejected))
        .layer(layer(breaker))
        .service(dependency.clone())
}

/// Creates a breaker that does not trip in these tests.
fn patient() -> CircuitBreaker {
    builder().consecutive_failures(100).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_retry_outside_the_breaker_makes_every_attempt_a_recorded_call() {
    let (breaker, dependency) = (patient(), Dependency::new(Health::Failing));
    let mut service = retry_outside(&breaker, &dependency);

    assert_eq!(call(&mut service).await, Err(CircuitBreakerError::Inner(Down)));

    assert_eq!(dependency.calls(), 5);
    assert_eq!(breaker.snapshot().consecutive_failures(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_retry_outside_the_breaker_does_not_repeat_a_rejection() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Well));
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(60), 1, 0.0));
    let policy = Retries { left: 4, budget: budget.clone(), is_worth_it: not_rejected };
    let mut service =
        ServiceBuilder::new().retry(policy).layer(layer(&breaker)).service(dependency.clone());

    for _ in 0..100 {
        assert!(is_rejection(&call(&mut service).await));
    }

    assert_eq!(dependency.calls(), 0);
    assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 60, "the budget is untouched");
}

#[tokio::test(start_paused = true)]
async fn a_retry_outside_the_breaker_ends_at_the_trip() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let mut service = retry_outside(&breaker, &dependency);

    // Two attempts fail and trip the circuit. The third one is rejected, which ends the retries.
    let error = call(&mut service).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason(), RejectReason::Open);
    assert_eq!(dependency.calls(), 2);

    dependency.becomes(Health::Well);
    advance(WAIT).await;
    assert_eq!(call(&mut service).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn an_empty_budget_ends_the_retries_and_every_attempt_made_is_recorded() {
    let (breaker, dependency) = (patient(), Dependency::new(Health::Failing));
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(1), 2, 0.0)); // two per second
    let policy = Retries { left: 9, budget, is_worth_it: not_rejected };
    let mut service =
        ServiceBuilder::new().retry(policy).layer(layer(&breaker)).service(dependency.clone());

    for attempts in [3, 4, 5] {
        assert_eq!(call(&mut service).await, Err(CircuitBreakerError::Inner(Down)));
        assert_eq!(dependency.calls(), attempts);
        assert_eq!(breaker.snapshot().consecutive_failures(), attempts as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_inside_the_breaker_records_one_failure_for_all_attempts() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let mut service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .retry(retries(4, |_: &Down| true))
        .service(dependency.clone());

    assert_eq!(call(&mut service).await, Err(CircuitBreakerError::Inner(Down)));
    assert_eq!(dependency.calls(), 5);
    assert_eq!(breaker.snapshot().consecutive_failures(), 1);

    assert_eq!(call(&mut service).await, Err(CircuitBreakerError::Inner(Down)));
    assert_eq!(breaker.state(), State::Open);
    assert!(is_rejection(&call(&mut service).await));
    assert_eq!(dependency.calls(), 10, "a rejection by the breaker outside cannot be retried");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_succeeds_after_a_retry_inside_the_breaker_is_a_success() {
    let breaker = builder().failure_rate_threshold(0.1).minimum_calls(1).build().unwrap();
    let attempts = Arc::new(AtomicUsize::new(0));
    let every_other_attempt_fails = service_fn(move |request: u32| {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed);
        ready(if attempt % 2 == 0 { Err(Down) } else { Ok(request) })
    });
    let mut service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .retry(retries(1, |_: &Down| true))
        .service(every_other_attempt_fails);

    for _ in 0..10 {
        assert_eq!(call(&mut service).await, Ok(7));
    }

    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls(), snapshot.failures()), (10, 0));
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_recommended_order_is_retry_then_breaker_then_timeout() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Hanging));
    let mut service = ServiceBuilder::new()
        .retry(retries(4, not_rejected::<BoxError>))
        .layer(layer(&breaker))
        .timeout(Duration::from_secs(1))
        .service(dependency.clone());

    assert!(is_rejection(&call(&mut service).await));
    assert_eq!(dependency.calls(), 2);
    assert_eq!(breaker.state(), State::Open);
}
