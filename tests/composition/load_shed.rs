//! `load_shed`: outside, it makes a circuit with backpressure shed calls at once. Inside, its error is an
//! error of the dependency.

use std::time::Duration;

use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};
use tower::load_shed::error::Overloaded;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_breaker::{CircuitBreakerError, Outcome, State};

use crate::{Dependency, Down, Health, WAIT, breaker, call, is_rejection, layer, rejection};

#[tokio::test(start_paused = true)]
async fn load_shed_outside_backpressure_sheds_at_once_while_open() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let mut service = ServiceBuilder::new()
        .load_shed()
        .layer(layer(&breaker).backpressure())
        .service(dependency.clone());
    for _ in 0..2 {
        assert!(call(&mut service).await.unwrap_err().is::<Down>());
    }

    let asked = Instant::now();
    for _ in 0..10 {
        assert!(call(&mut service).await.unwrap_err().is::<Overloaded>());
        assert!(service.clone().oneshot(7).await.unwrap_err().is::<Overloaded>());
    }
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert_eq!(dependency.calls(), 2);

    dependency.becomes(Health::Well);
    advance(WAIT - Duration::from_nanos(1)).await;
    assert!(call(&mut service).await.unwrap_err().is::<Overloaded>());
    advance(Duration::from_nanos(1)).await;
    assert_eq!(call(&mut service).await.unwrap(), 7);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn load_shed_outside_backpressure_sheds_calls_without_a_probe_slot_while_half_open() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Hanging));
    let service = ServiceBuilder::new()
        .load_shed()
        .layer(layer(&breaker).backpressure())
        .service(dependency.clone());
    breaker.trip();
    advance(WAIT).await;

    let mut probe = task::spawn(service.clone().oneshot(7));
    assert_pending!(probe.poll());
    assert!(service.clone().oneshot(7).await.unwrap_err().is::<Overloaded>());

    drop(probe);
    dependency.becomes(Health::Well);
    assert_eq!(service.oneshot(7).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn load_shed_outside_has_nothing_to_shed_without_backpressure() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Well));
    let mut service =
        ServiceBuilder::new().load_shed().layer(layer(&breaker)).service(dependency.clone());
    breaker.trip();

    let error = call(&mut service).await.unwrap_err();
    assert_eq!(rejection(&error).unwrap().retry_after(), Some(WAIT));
    assert_eq!(dependency.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_shed_inside_is_a_failure_by_default() {
    let breaker = breaker();
    let service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .load_shed()
        .concurrency_limit(1)
        .service(Dependency::new(Health::Hanging));
    let mut running = task::spawn(service.clone().oneshot(7));
    assert_pending!(running.poll());

    for _ in 0..2 {
        let error = service.clone().oneshot(7).await.unwrap_err();
        assert!(matches!(error, CircuitBreakerError::Inner(error) if error.is::<Overloaded>()));
    }

    assert_eq!(breaker.state(), State::Open);
    assert!(is_rejection(&service.oneshot(7).await));
}

#[tokio::test(start_paused = true)]
async fn a_classifier_can_ignore_calls_that_are_shed_inside() {
    let breaker = breaker();
    let dependency = Dependency::new(Health::Hanging);
    let service = ServiceBuilder::new()
        .layer(layer(&breaker).classifier(|result: Result<&u32, &BoxError>| match result {
            Ok(_) => Outcome::Success,
            Err(error) if error.is::<Overloaded>() => Outcome::Ignored,
            Err(_) => Outcome::Failure,
        }))
        .load_shed()
        .concurrency_limit(1)
        .service(dependency.clone());
    let mut running = task::spawn(service.clone().oneshot(7));
    assert_pending!(running.poll());

    for _ in 0..10 {
        let error = service.clone().oneshot(7).await.unwrap_err();
        assert!(matches!(error, CircuitBreakerError::Inner(error) if error.is::<Overloaded>()));
    }
    assert_eq!(breaker.state(), State::Closed);

    drop(running);
    dependency.becomes(Health::Failing);
    for _ in 0..2 {
        assert!(!is_rejection(&service.clone().oneshot(7).await));
    }
    assert_eq!(breaker.state(), State::Open, "other errors still count");
}
