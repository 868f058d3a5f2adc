//! Tower's combinators and boxes: the breaker judges what happens inside it, and not what happens outside.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use tokio::time::{Instant, advance};
use tokio_test::stream_mock::StreamMockBuilder;
use tokio_test::{assert_pending, assert_ready, task};
use tower::hedge::{Hedge, Policy};
use tower::util::{BoxCloneService, BoxCloneSyncService, BoxService, Either};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};
use tower_breaker::{CircuitBreakerError, RejectReason, State};

use crate::{
    Dependency, Down, Health, WAIT, breaker, builder, call, end_of, is_rejection, layer,
    open_breaker, rejection,
};

#[tokio::test(start_paused = true)]
async fn map_err_outside_sees_which_kind_of_error_it_is() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let mut service = ServiceBuilder::new()
        .map_err(|error: CircuitBreakerError<Down>| match error {
            CircuitBreakerError::Rejected(rejected) => format!("try {} later", rejected.breaker()),
            CircuitBreakerError::Inner(Down) => "failed".to_owned(),
        })
        .layer(layer(&breaker))
        .service(dependency);

    let mut errors = Vec::new();
    for _ in 0..3 {
        errors.push(call(&mut service).await.unwrap_err());
    }
    assert_eq!(errors, ["failed", "failed", "try backend later"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_and_a_response_may_be_mapped_on_both_sides() {
    let mut service = ServiceBuilder::new()
        .map_request(|text: &str| text.len() as u64)
        .map_response(|answer: u64| answer.to_string())
        .layer(layer(&breaker()))
        .map_request(|number: u64| number as u32)
        .map_response(u64::from)
        .service(Dependency::new(Health::Well));

    assert_eq!(service.ready().await.unwrap().call("seven").await, Ok("5".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_result_counts_as_a_mapping_inside_returns_it() {
    let breaker = breaker();
    let mut service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .map_result(|result: Result<u32, Down>| Ok::<_, Down>(result.is_ok()))
        .service(Dependency::new(Health::Failing));

    for _ in 0..10 {
        assert_eq!(call(&mut service).await, Ok(false));
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn failures_count_although_a_fallback_outside_answers_them() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let mut service = ServiceBuilder::new()
        .then(|result: Result<u32, CircuitBreakerError<Down>>| async move {
            Ok::<_, CircuitBreakerError<Down>>(result.unwrap_or(0))
        })
        .layer(layer(&breaker))
        .service(dependency.clone());

    for _ in 0..10 {
        assert_eq!(call(&mut service).await, Ok(0));
    }
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(dependency.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_and_then_counts_inside_and_not_outside() {
    let refuse = |_: u32| ready(Err::<u32, Down>(Down));
    let dependency = Dependency::new(Health::Well);

    let outside = breaker();
    let mut service = layer(&outside).layer(dependency.clone()).and_then(|_| {
        ready(Err::<u32, CircuitBreakerError<Down>>(CircuitBreakerError::Inner(Down)))
    });
    for _ in 0..10 {
        assert_eq!(call(&mut service).await, Err(CircuitBreakerError::Inner(Down)));
    }
    assert_eq!(outside.state(), State::Closed);

    let inside = breaker();
    let mut service = layer(&inside).layer(dependency.and_then(refuse));
    for _ in 0..2 {
        assert_eq!(call(&mut service).await, Err(CircuitBreakerError::Inner(Down)));
    }
    assert_eq!(inside.state(), State::Open);
}

/// Refuses requests with an odd number.
fn even(request: u32) -> Result<u32, Down> {
    if request % 2 == 0 { Ok(request) } else { Err(Down) }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_filter_refuses_counts_inside_and_not_outside() {
    let outside = builder().failure_rate_threshold(0.5).build().unwrap();
    let mut service = ServiceBuilder::new()
        .filter(even)
        .layer(layer(&outside))
        .service(Dependency::new(Health::Well));
    for _ in 0..10 {
        assert!(call(&mut service).await.unwrap_err().is::<Down>());
    }
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 2);
    assert_eq!((outside.snapshot().calls(), outside.state()), (1, State::Closed));

    let inside = breaker();
    let mut service = ServiceBuilder::new()
        .layer(layer(&inside))
        .filter(even)
        .service(Dependency::new(Health::Well));
    for _ in 0..2 {
        assert!(!is_rejection(&call(&mut service).await));
    }
    assert_eq!(inside.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_filter_outside_refuses_leaves_the_probe_slot_to_the_next_one() {
    let breaker = open_breaker();
    let mut service = ServiceBuilder::new()
        .filter(even)
        .layer(layer(&breaker))
        .service(Dependency::new(Health::Well));
    advance(WAIT).await;

    assert!(call(&mut service).await.unwrap_err().is::<Down>());
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 2);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_asynchronous_filter_works_outside_too() {
    let breaker = open_breaker();
    let mut service = ServiceBuilder::new()
        .filter_async(|request: u32| async move { even(request) })
        .layer(layer(&breaker))
        .service(Dependency::new(Health::Well));

    assert!(call(&mut service).await.unwrap_err().is::<Down>());
    let error = service.ready().await.unwrap().call(2).await.unwrap_err();
    assert!(rejection(&error).is_some());
}

#[derive(Clone)]
struct Always;

impl Policy<u32> for Always {
    fn clone_request(&self, request: &u32) -> Option<u32> {
        Some(*request)
    }

    fn can_retry(&self, _: &u32) -> bool {
        true
    }
}

/// Sends a second request if the first one has not been answered after 100 ms.
fn hedge<S>(service: S) -> Hedge<S, Always>
where
    S: Service<u32> + Clone,
    S::Error: Into<BoxError>,
{
    Hedge::new_with_mock_latencies(service, Always, 1, 0.9, Duration::from_secs(60), &[100])
}

#[tokio::test(start_paused = true)]
async fn a_hedge_outside_makes_the_slower_request_an_abandoned_call() {
    let breaker = builder().failure_rate_threshold(0.5).build().unwrap();
    let dependency = Dependency::new(Health::Hanging);
    let mut service = hedge(layer(&breaker).layer(dependency.clone()));

    let mut hedged = task::spawn(async { call(&mut service).await });
    assert_pending!(hedged.poll());
    dependency.becomes(Health::Well);
    assert_eq!(hedged.await.unwrap(), 7);

    assert_eq!(dependency.calls(), 2);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls(), snapshot.failures()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_inside_is_one_call() {
    let breaker = builder().failure_rate_threshold(0.5).build().unwrap();
    let dependency = Dependency::new(Health::Hanging);
    let mut service = layer(&breaker).layer(hedge(dependency.clone()));

    let mut hedged = task::spawn(async { call(&mut service).await });
    assert_pending!(hedged.poll());
    dependency.becomes(Health::Well);
    assert_eq!(hedged.await.unwrap(), 7);

    assert_eq!(dependency.calls(), 2);
    assert_eq!(breaker.snapshot().calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_outside_a_half_open_circuit_is_rejected_and_abandons_the_probe() {
    // Do not do this. There is one probe slot, so the second request is rejected, and the rejection is the
    // first answer. The probe is abandoned, which gives its slot back.
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Hanging));
    let mut service = hedge(layer(&breaker).layer(dependency.clone()));
    advance(WAIT).await;

    let error = call(&mut service).await.unwrap_err();
    assert_eq!(rejection(&error).unwrap().reason(), RejectReason::HalfOpen);
    dependency.becomes(Health::Well);
    assert_eq!(call(&mut service).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_optional_breaker_protects_the_service_if_there_is_one() {
    // Both sides of an option must have the same error type, so the error of the breaker is boxed.
    for is_there in [true, false] {
        let breaker = open_breaker();
        let boxing = ServiceBuilder::new().map_err(BoxError::from).layer(layer(&breaker));
        let mut service = ServiceBuilder::new()
            .option_layer(is_there.then_some(boxing))
            .map_err(BoxError::from)
            .service(Dependency::new(Health::Well));

        let result: Result<u32, BoxError> = call(&mut service).await;
        assert_eq!(result.is_err_and(|error| rejection(&error).is_some()), is_there);
    }
}

#[tokio::test(start_paused = true)]
async fn either_of_two_breakers_may_be_chosen_at_run_time() {
    let (open, closed) = (open_breaker(), breaker());
    for (chosen, is_rejected) in
        [(Either::Left(layer(&open)), true), (Either::Right(layer(&closed)), false)]
    {
        let mut service =
            ServiceBuilder::new().layer(chosen).service(Dependency::new(Health::Well));
        assert_eq!(is_rejection(&call(&mut service).await), is_rejected);
    }
}

#[tokio::test(start_paused = true)]
async fn call_all_returns_the_answers_of_admitted_calls_and_ends_with_the_first_error() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Well));
    let service = layer(&breaker).layer(dependency.clone());
    let requests = StreamMockBuilder::new().next(1).next(2).next(3).build();

    let mut answers = task::spawn(service.call_all(requests));
    for expected in [1, 2] {
        assert_eq!(assert_ready!(answers.poll_next()).unwrap(), Ok(expected));
    }
    breaker.trip();
    assert!(is_rejection(&assert_ready!(answers.poll_next()).unwrap()));
    assert!(assert_ready!(answers.poll_next()).is_none());
    assert_eq!(dependency.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn call_all_waits_with_backpressure_until_the_circuit_admits() {
    let breaker = open_breaker();
    let service = layer(&breaker).backpressure().layer(Dependency::new(Health::Well));
    let requests = StreamMockBuilder::new().next(1).next(2).build();

    let mut answers = task::spawn(service.call_all(requests));
    assert_pending!(answers.poll_next());
    advance(WAIT).await;
    assert!(answers.is_woken());
    for expected in [1, 2] {
        assert_eq!(assert_ready!(answers.poll_next()).unwrap(), Ok(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn ready_oneshot_returns_the_ready_service() {
    let breaker = open_breaker();
    let service = layer(&breaker).backpressure().layer(Dependency::new(Health::Well));

    let asked = Instant::now();
    let mut ready = end_of(ServiceExt::<u32>::ready_oneshot(service)).await.unwrap();
    assert_eq!(asked.elapsed(), WAIT);
    assert_eq!(ready.call(7).await, Ok(7));
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn boxed_services_are_protected_and_share_the_circuit() {
    type Error = CircuitBreakerError<Down>;
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let service = layer(&breaker).layer(dependency.clone());
    let mut boxed = BoxService::<u32, u32, Error>::new(service.clone());
    let cloned = BoxCloneService::<u32, u32, Error>::new(service.clone());
    let synced = BoxCloneSyncService::<u32, u32, Error>::new(service);

    assert!(!is_rejection(&call(&mut boxed).await));
    assert!(!is_rejection(&cloned.clone().oneshot(7).await));
    assert!(is_rejection(&synced.clone().oneshot(7).await));
    assert!(is_rejection(&call(&mut boxed).await));

    dependency.becomes(Health::Well);
    advance(WAIT).await;
    assert_eq!(synced.oneshot(7).await, Ok(7));
    assert_eq!(call(&mut boxed).await, Ok(7));
    assert_eq!(cloned.oneshot(7).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_can_protect_a_boxed_service() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let inner = dependency.map_err(BoxError::from).boxed_clone();
    let mut service = layer(&breaker).layer(inner);

    for _ in 0..2 {
        let error: BoxError = call(&mut service).await.unwrap_err().into();
        assert!(error.is::<Down>());
    }
    assert!(is_rejection(&call(&mut service).await));
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_service_that_cannot_fail_can_be_rejected() {
    let breaker = open_breaker();
    let service = layer(&breaker)
        .layer(tower::service_fn(|request: u32| async move { Ok::<_, Infallible>(request) }));

    assert!(is_rejection(&service.clone().oneshot(7).await));
    advance(WAIT).await;
    assert_eq!(service.oneshot(7).await, Ok(7));
}
