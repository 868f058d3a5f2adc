//! A fallback among other layers. Layers outside take its answer for that of the service, and layers inside
//! do not see it.

use std::time::Duration;

use futures_util::TryFutureExt;
use tokio::time::Instant;
use tower::retry::Policy;
use tower::timeout::error::Elapsed;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, ErrorsAsFailures, Fallback, Rejected,
    State,
};

use crate::{
    Dependency, Down, Health, breaker, call, end_of, is_rejection, layer, open_breaker, rejection,
};

/// Creates a layer that answers rejected calls with 0.
fn or_zero<E>(
    breaker: &CircuitBreaker,
) -> CircuitBreakerLayer<ErrorsAsFailures, impl Fallback<u32, u32, E, Future: Send> + Clone + use<E>>
{
    layer(breaker).fallback(|_: u32, _: Rejected| async { Ok(0) })
}

/// Creates the same layer, but its answers take some time.
fn or_zero_after<E>(
    time: Duration,
    breaker: &CircuitBreaker,
) -> CircuitBreakerLayer<ErrorsAsFailures, impl Fallback<u32, u32, E> + Clone + use<E>> {
    layer(breaker).fallback(move |_: u32, _: Rejected| async move {
        tokio::time::sleep(time).await;
        Ok(0)
    })
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_through_a_buffer() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let mut service =
        ServiceBuilder::new().buffer(8).layer(or_zero(&breaker)).service(dependency.clone());
    for _ in 0..2 {
        assert!(call(&mut service).await.unwrap_err().is::<Down>());
    }
    for _ in 0..20 {
        assert_eq!(call(&mut service).await.unwrap(), 0);
    }
    assert_eq!(dependency.calls(), 2);
}

/// Retries every error.
#[derive(Clone)]
struct Always(u32);

impl<E> Policy<u32, u32, E> for Always {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut u32, result: &mut Result<u32, E>) -> Option<Self::Future> {
        self.0 = self.0.checked_sub(1)?;
        result.is_err().then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_outside_takes_the_fallback_for_a_success() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let mut service =
        ServiceBuilder::new().retry(Always(5)).layer(or_zero(&breaker)).service(dependency.clone());
    // Two attempts trip the circuit, and the third one is answered by the fallback.
    assert_eq!(call(&mut service).await, Ok(0));
    assert_eq!((dependency.calls(), breaker.state()), (2, State::Open));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_limits_the_fallback_and_one_inside_does_not() {
    let second = Duration::from_secs(1);
    let breaker = open_breaker();
    let before = breaker.snapshot();
    let mut outside = ServiceBuilder::new()
        .timeout(second)
        .layer(or_zero_after(5 * second, &breaker))
        .service(Dependency::new(Health::Well));
    assert!(call(&mut outside).await.unwrap_err().is::<Elapsed>());
    assert_eq!(breaker.snapshot().failures(), before.failures());

    let mut inside = ServiceBuilder::new()
        .layer(or_zero_after(5 * second, &breaker))
        .timeout(second)
        .service(Dependency::new(Health::Well));
    let asked = Instant::now();
    assert_eq!(call(&mut inside).await.unwrap(), 0);
    assert_eq!(asked.elapsed(), 5 * second);
}

#[tokio::test(start_paused = true)]
async fn a_service_with_a_fallback_can_be_boxed() {
    let breaker = open_breaker();
    let mut service: BoxCloneService<u32, u32, BoxError> = ServiceBuilder::new()
        .boxed_clone()
        .map_err(BoxError::from)
        .layer(or_zero(&breaker))
        .timeout(Duration::from_secs(1))
        .service(Dependency::new(Health::Well));
    assert_eq!(call(&mut service).await.unwrap(), 0);
    breaker.reset();
    assert_eq!(call(&mut service.clone()).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_fallback_is_the_same_as_without_a_breaker_when_it_is_boxed() {
    let breaker = open_breaker();
    let mut service = ServiceBuilder::new()
        .map_err(BoxError::from)
        .layer(
            layer(&breaker)
                .fallback(|_: u32, _: Rejected| async { Err(CircuitBreakerError::Inner(Down)) }),
        )
        .service(Dependency::new(Health::Well));
    assert!(call(&mut service).await.unwrap_err().is::<Down>());
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_load_shed_answers_before_the_fallback() {
    let breaker = open_breaker();
    let mut service = ServiceBuilder::new()
        .load_shed()
        .layer(or_zero(&breaker).backpressure())
        .service(Dependency::new(Health::Well));
    let error = call(&mut service).await.unwrap_err();
    assert!(error.is::<tower::load_shed::error::Overloaded>());
}

#[tokio::test(start_paused = true)]
async fn a_rejection_of_a_breaker_inside_does_not_go_to_the_fallback_outside() {
    let (outer, inner) = (breaker(), open_breaker());
    let mut service = ServiceBuilder::new()
        .layer(or_zero(&outer))
        .layer(layer(&inner))
        .service(Dependency::new(Health::Well));
    for _ in 0..2 {
        let CircuitBreakerError::Inner(error) = call(&mut service).await.unwrap_err() else {
            panic!("the outer circuit has not tripped");
        };
        assert!(error.rejected().is_some());
    }
    assert_eq!(call(&mut service).await.unwrap(), 0, "now the outer circuit has tripped");
}

#[tokio::test(start_paused = true)]
async fn failures_are_answered_by_towers_then_outside() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let with_breaker = ServiceBuilder::new().layer(layer(&breaker)).service(dependency.clone());
    let mut service = with_breaker.then(|result: Result<u32, CircuitBreakerError<Down>>| async {
        match result {
            Err(CircuitBreakerError::Inner(Down)) => Ok(1),
            answer => answer,
        }
    });
    for _ in 0..2 {
        assert_eq!(call(&mut service).await, Ok(1));
    }
    assert!(is_rejection(&call(&mut service).await));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_may_call_a_buffered_service_that_others_use_too() {
    let (breaker, replica) = (open_breaker(), Dependency::new(Health::Well));
    let replicas = ServiceBuilder::new().buffer(8).service(replica.clone());
    let service = ServiceBuilder::new()
        .map_err(BoxError::from)
        .layer(layer(&breaker).fallback(move |n, _: Rejected| {
            replicas.clone().oneshot(n).map_err(CircuitBreakerError::Inner)
        }))
        .map_err(BoxError::from)
        .service(Dependency::new(Health::Well));
    let calls: Vec<_> = (1..9).map(|n| tokio::spawn(service.clone().oneshot(n))).collect();
    for (n, call) in (1..9).zip(calls) {
        assert_eq!(end_of(call).await.unwrap().unwrap(), n);
    }
    assert_eq!(replica.calls(), 8);
    breaker.reset();
    assert_eq!(service.oneshot(3).await.unwrap(), 3);
    assert_eq!(replica.calls(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_the_fallback_returns_is_still_a_rejection_outside() {
    let breaker = open_breaker();
    let mut service = ServiceBuilder::new()
        .map_err(BoxError::from)
        .layer(
            layer(&breaker).fallback(|_: u32, rejected: Rejected| async { Err(rejected.into()) }),
        )
        .service(Dependency::new(Health::Well));
    assert!(rejection(&call(&mut service).await.unwrap_err()).is_some());
}
