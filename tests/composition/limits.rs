//! `concurrency_limit`, `rate_limit` and `spawn_ready`: which callers wait for what, and for how long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::spawn_ready::SpawnReadyLayer;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_breaker::{RejectReason, State};

use crate::{
    Dependency, Health, WAIT, breaker, builder, call, is_rejection, layer, open_breaker, rejection,
};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_outside_gets_its_permits_back_from_rejected_calls() {
    let (breaker, permits) = (open_breaker(), Arc::new(Semaphore::new(1)));
    let dependency = Dependency::new(Health::Well);
    let mut service = ServiceBuilder::new()
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(permits.clone()))
        .layer(layer(&breaker))
        .service(dependency.clone());

    for _ in 0..10 {
        assert!(is_rejection(&call(&mut service).await));
        assert_eq!(permits.available_permits(), 1);
    }
    drop(service.ready().await.unwrap().call(7)); // a rejection that is never polled gives it back, too
    assert_eq!(permits.available_permits(), 1);

    advance(WAIT).await;
    assert_eq!(call(&mut service).await, Ok(7));
    assert_eq!(dependency.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_rejects_even_if_a_concurrency_limit_inside_is_reached() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Hanging));
    let service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .concurrency_limit(1)
        .service(dependency.clone());
    let mut running = task::spawn(service.clone().oneshot(7));
    assert_pending!(running.poll());

    breaker.trip();

    let mut rejected = task::spawn(service.clone().oneshot(7));
    assert!(is_rejection(&assert_ready!(rejected.poll())));
    assert_eq!(dependency.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_trip_wakes_callers_that_wait_for_a_concurrency_limit_inside() {
    let breaker = breaker();
    let service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .concurrency_limit(1)
        .service(Dependency::new(Health::Hanging));
    let mut running = task::spawn(service.clone().oneshot(7));
    assert_pending!(running.poll());
    let mut waiting: Vec<_> = (0..3).map(|_| task::spawn(service.clone().oneshot(7))).collect();
    for waiting in &mut waiting {
        assert_pending!(waiting.poll());
        assert!(!waiting.is_woken());
    }

    breaker.trip();

    for waiting in &mut waiting {
        assert!(waiting.is_woken());
        assert!(is_rejection(&assert_ready!(waiting.poll())));
    }
    assert_pending!(running.poll()); // the call that was admitted continues
}

#[tokio::test(start_paused = true)]
async fn a_permit_of_a_concurrency_limit_inside_is_free_again_after_the_outage() {
    let (breaker, permits) = (breaker(), Arc::new(Semaphore::new(1)));
    let dependency = Dependency::new(Health::Hanging);
    let service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(permits.clone()))
        .service(dependency.clone());
    let mut running = task::spawn(service.clone().oneshot(7));
    assert_pending!(running.poll());
    let mut waiting = task::spawn(service.clone().oneshot(7));
    assert_pending!(waiting.poll());
    breaker.trip();
    assert!(is_rejection(&assert_ready!(waiting.poll())));
    drop((running, waiting));
    assert_eq!(permits.available_permits(), 1);

    dependency.becomes(Health::Well);
    advance(WAIT).await;
    assert_eq!(service.oneshot(7).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_kept_after_a_rejection_keeps_its_turn_at_a_concurrency_limit_inside() {
    // Do not do this. Tower's limit keeps a service that has polled it in its queue until that service is
    // polled again or dropped. The breaker cannot take that back. `oneshot` drops the service.
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Hanging));
    let service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .concurrency_limit(1)
        .service(dependency.clone());
    let mut running = task::spawn(service.clone().oneshot(7));
    assert_pending!(running.poll());
    let mut kept = service.clone();
    let mut waiting = task::spawn(async { call(&mut kept).await });
    assert_pending!(waiting.poll());
    breaker.trip();
    assert!(is_rejection(&waiting.await));
    dependency.becomes(Health::Well);
    drop(running);
    breaker.reset();

    let mut other = task::spawn(service.clone().oneshot(7));
    assert_pending!(other.poll());
    assert_eq!(call(&mut kept).await, Ok(7));
    assert!(other.is_woken());
    assert_eq!(other.await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_inside_is_not_used_up_by_rejections() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Well));
    let mut service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .rate_limit(2, MINUTE)
        .service(dependency.clone());

    let asked = Instant::now();
    for _ in 0..10 {
        assert!(is_rejection(&call(&mut service).await));
    }
    breaker.reset();
    for _ in 0..2 {
        assert_eq!(call(&mut service).await, Ok(7));
    }
    assert_eq!(asked.elapsed(), Duration::ZERO);

    assert_eq!(call(&mut service).await, Ok(7));
    assert_eq!(asked.elapsed(), MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_trip_wakes_callers_that_wait_for_a_rate_limit_inside() {
    let breaker = breaker();
    let mut service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .rate_limit(1, MINUTE)
        .service(Dependency::new(Health::Well));
    call(&mut service).await.unwrap();
    let asked = Instant::now();
    let mut waiting = task::spawn(async { call(&mut service).await });
    assert_pending!(waiting.poll());

    breaker.trip();

    assert!(waiting.is_woken());
    assert!(is_rejection(&waiting.await));
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_waits_too_long_for_a_rate_limit_inside_is_rejected() {
    let probe_timeout = Duration::from_secs(30);
    let breaker = builder().probe_timeout(probe_timeout).build().unwrap();
    let dependency = Dependency::new(Health::Well);
    let mut service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .rate_limit(1, MINUTE)
        .service(dependency.clone());
    call(&mut service).await.unwrap();
    breaker.trip();
    advance(WAIT).await;

    let asked = Instant::now();
    assert!(is_rejection(&call(&mut service).await));
    assert_eq!(asked.elapsed(), probe_timeout);
    assert_eq!(breaker.state(), State::Open);

    advance(WAIT).await; // the minute ends after another 10 s
    assert_eq!(call(&mut service).await, Ok(7));
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(dependency.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_outside_is_used_up_by_rejections() {
    let breaker = builder().open_duration(MINUTE * 10).build().unwrap();
    let mut service = ServiceBuilder::new()
        .rate_limit(2, MINUTE)
        .layer(layer(&breaker))
        .service(Dependency::new(Health::Well));
    breaker.trip();

    let asked = Instant::now();
    for _ in 0..2 {
        assert!(is_rejection(&call(&mut service).await));
    }
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert!(is_rejection(&call(&mut service).await));
    assert_eq!(asked.elapsed(), MINUTE);
}

#[tokio::test(start_paused = true)]
async fn spawn_ready_outside_backpressure_waits_in_a_task_of_its_own() {
    let (breaker, dependency) = (open_breaker(), Dependency::new(Health::Well));
    let mut service = ServiceBuilder::new()
        .layer(SpawnReadyLayer::new())
        .layer(layer(&breaker).backpressure())
        .service(dependency.clone());

    let asked = Instant::now();
    assert_eq!(call(&mut service).await.unwrap(), 7);
    assert_eq!(asked.elapsed(), WAIT);
    assert_eq!(breaker.state(), State::Closed);

    breaker.trip();
    let mut waiting = task::spawn(async { call(&mut service).await });
    assert_pending!(waiting.poll());
    tokio::task::yield_now().await; // the task begins to wait
    drop(waiting);
    drop(service); // and ends when the service is dropped
    advance(WAIT).await;
    tokio::task::yield_now().await;
    assert_eq!(breaker.state(), State::Open, "nobody has taken a probe slot");
}

#[tokio::test(start_paused = true)]
async fn spawn_ready_outside_passes_rejections_on_without_backpressure() {
    let breaker = open_breaker();
    let mut service = ServiceBuilder::new()
        .layer(SpawnReadyLayer::new())
        .layer(layer(&breaker))
        .service(Dependency::new(Health::Well));

    let error = call(&mut service).await.unwrap_err();
    assert_eq!(rejection(&error).unwrap().reason(), RejectReason::Open);
    advance(WAIT).await;
    assert_eq!(call(&mut service).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_rejects_even_if_spawn_ready_inside_is_not_ready() {
    let (breaker, permits) = (breaker(), Arc::new(Semaphore::new(1)));
    let dependency = Dependency::new(Health::Well);
    let mut service = ServiceBuilder::new()
        .layer(layer(&breaker))
        .layer(SpawnReadyLayer::new())
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(permits.clone()))
        .service(dependency.clone());
    let taken = permits.clone().acquire_owned().await.unwrap();
    let mut waiting = task::spawn(async { call(&mut service).await });
    assert_pending!(waiting.poll());

    breaker.trip();

    assert!(waiting.is_woken());
    assert!(is_rejection(&assert_ready!(waiting.poll())));
    drop(waiting);
    assert!(is_rejection(&call(&mut service).await));

    drop(taken);
    advance(WAIT).await;
    assert_eq!(call(&mut service).await.unwrap(), 7);
    assert_eq!(dependency.calls(), 1);
}
