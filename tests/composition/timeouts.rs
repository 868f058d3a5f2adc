//! `timeout`: inside, a call that hangs is a failure. Outside, it is an abandoned call.

use std::time::Duration;

use tokio::time::{Instant, advance};
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, State};

use crate::{Dependency, Health, WAIT, breaker, builder, call, is_rejection, layer, rejection};

const TIMEOUT: Duration = Duration::from_secs(1);

fn timeout_outside(
    breaker: &CircuitBreaker,
    dependency: &Dependency,
) -> impl Service<u32, Response = u32, Error = BoxError> + use<> {
    ServiceBuilder::new().timeout(TIMEOUT).layer(layer(breaker)).service(dependency.clone())
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_the_breaker_counts_as_a_failure() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Hanging));
    let mut service =
        ServiceBuilder::new().layer(layer(&breaker)).timeout(TIMEOUT).service(dependency.clone());

    for failures in 1..=2 {
        let CircuitBreakerError::Inner(error) = call(&mut service).await.unwrap_err() else {
            panic!("the call was rejected too early");
        };
        assert!(error.is::<Elapsed>());
        assert_eq!(breaker.snapshot().consecutive_failures(), failures);
    }
    assert_eq!(breaker.state(), State::Open);

    let asked = Instant::now();
    assert!(is_rejection(&call(&mut service).await));
    assert_eq!(asked.elapsed(), Duration::ZERO, "a rejection does not wait for the timeout");
    assert_eq!(dependency.calls(), 2);

    dependency.becomes(Health::Well);
    advance(WAIT).await;
    assert_eq!(call(&mut service).await.unwrap(), 7);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_the_breaker_abandons_the_call_which_is_neutral() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Hanging));
    let mut service = timeout_outside(&breaker, &dependency);

    for _ in 0..20 {
        assert!(call(&mut service).await.unwrap_err().is::<Elapsed>());
    }

    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().consecutive_failures(), 0);
    assert_eq!(dependency.calls(), 20);
}

#[tokio::test(start_paused = true)]
async fn with_abandoned_after_a_timeout_outside_the_breaker_trips_it() {
    let breaker = builder().abandoned_after(TIMEOUT).build().unwrap();
    let dependency = Dependency::new(Health::Hanging);
    let mut service = timeout_outside(&breaker, &dependency);

    for _ in 0..2 {
        assert!(call(&mut service).await.unwrap_err().is::<Elapsed>());
    }

    assert_eq!(breaker.state(), State::Open);
    assert!(rejection(&call(&mut service).await.unwrap_err()).is_some());
    assert_eq!(dependency.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn abandoned_after_has_no_effect_if_it_is_longer_than_the_timeout_outside() {
    let too_long = TIMEOUT + Duration::from_millis(2); // timers fire on whole milliseconds
    let breaker = builder().abandoned_after(too_long).build().unwrap();
    let mut service = timeout_outside(&breaker, &Dependency::new(Health::Hanging));

    for _ in 0..20 {
        assert!(call(&mut service).await.unwrap_err().is::<Elapsed>());
    }

    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_a_timeout_outside_drops_gives_its_slot_back() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Hanging));
    let mut service = timeout_outside(&breaker, &dependency);
    breaker.trip();
    advance(WAIT).await;

    assert!(call(&mut service).await.unwrap_err().is::<Elapsed>());
    assert_eq!(breaker.state(), State::HalfOpen);

    dependency.becomes(Health::Well);
    assert_eq!(call(&mut service).await.unwrap(), 7);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_a_timeout_outside_drops_has_failed_with_abandoned_after() {
    let breaker = builder().abandoned_after(TIMEOUT).build().unwrap();
    let mut service = timeout_outside(&breaker, &Dependency::new(Health::Hanging));
    breaker.trip();
    advance(WAIT).await;

    assert!(call(&mut service).await.unwrap_err().is::<Elapsed>());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_ends_the_wait_for_an_open_circuit_only_once_the_service_is_called() {
    // Tower's timeout covers `call` but not `poll_ready`, so it cannot end a wait with backpressure.
    let breaker = breaker();
    breaker.trip();
    let mut service = ServiceBuilder::new()
        .timeout(TIMEOUT)
        .layer(layer(&breaker).backpressure())
        .service(Dependency::new(Health::Well));

    let asked = Instant::now();
    assert_eq!(call(&mut service).await.unwrap(), 7);
    assert_eq!(asked.elapsed(), WAIT);
}
