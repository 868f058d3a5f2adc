//! `buffer`: its worker keeps running whatever the circuit does.

use std::time::Duration;

use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};
use tower::buffer::Buffer;
use tower::buffer::error::Closed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::{CircuitBreakerError, State};

use crate::{
    Dependency, Down, Health, WAIT, breaker, call, end_of, is_rejection, layer, open_breaker,
    rejection,
};

#[tokio::test(start_paused = true)]
async fn a_buffer_outside_survives_errors_and_rejections_and_an_open_circuit() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let mut service =
        ServiceBuilder::new().buffer(8).layer(layer(&breaker)).service(dependency.clone());

    for _ in 0..3 {
        for _ in 0..2 {
            assert!(call(&mut service).await.unwrap_err().is::<Down>());
        }
        for _ in 0..20 {
            assert!(rejection(&call(&mut service).await.unwrap_err()).is_some());
        }
        advance(WAIT).await;
        dependency.becomes(Health::Well);
        assert_eq!(call(&mut service).await.unwrap(), 7);
        assert_eq!(breaker.state(), State::Closed);
        dependency.becomes(Health::Failing);
    }
    assert_eq!(dependency.calls(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_outside_survives_an_operator() {
    let breaker = breaker();
    let mut service = ServiceBuilder::new()
        .buffer(8)
        .layer(layer(&breaker))
        .service(Dependency::new(Health::Well));

    breaker.force_open();
    advance(WAIT).await;
    assert!(rejection(&call(&mut service).await.unwrap_err()).is_some());
    breaker.resume();
    assert_eq!(call(&mut service).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_outside_backpressure_keeps_its_requests_until_the_circuit_admits_them() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Well));
    let service = ServiceBuilder::new()
        .buffer(8)
        .layer(layer(&breaker).backpressure())
        .service(dependency.clone());

    let asked = Instant::now();
    let calls: Vec<_> = (0..5).map(|n| tokio::spawn(service.clone().oneshot(n))).collect();
    for (n, call) in (0..5).zip(calls) {
        assert_eq!(end_of(call).await.unwrap().unwrap(), n);
    }
    assert_eq!(asked.elapsed(), WAIT);
    assert_eq!(dependency.calls(), 5);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_in_a_buffer_outside_backpressure_leaves_its_capacity_to_the_next() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Well));
    let service = ServiceBuilder::new()
        .buffer(1)
        .layer(layer(&breaker).backpressure())
        .service(dependency.clone());

    for _ in 0..10 {
        let impatient = tokio::time::timeout(WAIT / 20, service.clone().oneshot(1)).await;
        assert!(impatient.is_err());
    }
    assert_eq!(end_of(service.oneshot(7)).await.unwrap(), 7);
    assert_eq!(dependency.calls(), 1, "no calls are made for callers that gave up");
}

#[tokio::test(start_paused = true)]
async fn a_buffer_inside_is_a_service_like_any_other() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let service =
        ServiceBuilder::new().layer(layer(&breaker)).buffer(8).service(dependency.clone());

    for _ in 0..2 {
        let error = service.clone().oneshot(7).await.unwrap_err();
        assert!(matches!(error, CircuitBreakerError::Inner(error) if error.is::<Down>()));
    }
    assert!(is_rejection(&service.clone().oneshot(7).await));
    assert_eq!(dependency.calls(), 2);

    dependency.becomes(Health::Well);
    advance(WAIT).await;
    assert_eq!(service.oneshot(7).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_inside_does_not_keep_an_open_circuit_from_rejecting() {
    let breaker = breaker();
    let (mut buffer, _never_runs) = Buffer::pair(Dependency::new(Health::Well), 1);
    let mut in_the_buffer = task::spawn(buffer.ready().await.unwrap().call(1));
    assert_pending!(in_the_buffer.poll());
    let service = ServiceBuilder::new().layer(layer(&breaker)).service(buffer);
    let mut waiting = task::spawn(service.clone().oneshot(7));
    assert_pending!(waiting.poll());

    breaker.trip();

    assert!(waiting.is_woken());
    assert!(is_rejection(&waiting.await));
    let asked = Instant::now();
    assert!(is_rejection(&service.oneshot(7).await));
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_inside_whose_worker_has_ended_is_a_failing_dependency() {
    let breaker = breaker();
    let (buffer, worker) = Buffer::pair(Dependency::new(Health::Well), 8);
    drop(worker);
    let mut service = ServiceBuilder::new().layer(layer(&breaker)).service(buffer);

    for _ in 0..2 {
        let error: BoxError = call(&mut service).await.unwrap_err().into();
        assert!(error.is::<Closed>());
    }
    assert_eq!(breaker.state(), State::Open);
    assert!(is_rejection(&call(&mut service).await));
}
