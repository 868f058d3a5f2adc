//! Point 6: how long a probe has, and who holds a probe slot for how long.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, HalfOpen, Permit, State};

use crate::backend::{backend, task};
use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

fn breaker() -> CircuitBreaker {
    sensitive().probe_timeout(10 * SECOND).build().unwrap()
}

fn healthy() -> impl Service<(), Response = (), Error = &'static str, Future: Send> + Clone {
    service_fn(|()| async { Ok(()) })
}

// ---- slots that nobody uses -------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_worker_that_becomes_ready_long_before_it_calls_reaches_a_healthy_dependency() {
    let breaker = CircuitBreaker::new("work"); // the defaults
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(healthy());
    breaker.trip();
    let mut reached = 0;
    for _ in 0..10 {
        let ready = service.ready().await.unwrap();
        sleep(31 * SECOND).await; // until there is work
        reached += u32::from(ready.call(()).await.is_ok());
    }
    assert_eq!(reached, 9, "only the first call was rejected");
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_nobody_calls_is_given_back_in_time_and_is_no_failed_probe() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    let mut idle = task(CircuitBreakerLayer::new(breaker.clone()).layer(backend().0));
    assert!(idle.poll_ready().is_ready());
    assert_eq!(breaker.snapshot().probes_in_flight(), 1);
    advance(10 * SECOND).await;
    assert_eq!((breaker.state(), breaker.snapshot().probes_in_flight()), (State::HalfOpen, 0));
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_is_never_ready_within_the_time_of_the_slot_fails_the_probe() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    let (backend, control) = backend();
    control.set_ready(false);
    let mut service = task(CircuitBreakerLayer::new(breaker.clone()).layer(backend));
    assert!(service.poll_ready().is_pending());
    advance(10 * SECOND).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_slot_yields_at_once_to_a_caller_that_finds_no_other() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    let (inner, control) = backend();
    let mut idle = task(CircuitBreakerLayer::new(breaker.clone()).layer(inner));
    assert!(idle.poll_ready().is_ready());

    let probe = permit(&breaker);
    breaker.try_acquire().unwrap_err(); // a probe in flight does not yield
    assert!(idle.call("late").await.unwrap_err().rejected().is_some());
    assert_eq!(control.calls(), 0);
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_busy_caller_beside_a_hundred_idle_ones_recovers_with_backpressure() {
    let breaker = CircuitBreaker::new("pool"); // the defaults
    let layer = CircuitBreakerLayer::new(breaker.clone()).backpressure();
    let service = layer.layer(healthy());
    breaker.trip();
    let mut idle: Vec<_> = (0..100).map(|_| task(service.clone())).collect();
    idle.iter_mut().for_each(|idle| assert!(idle.poll_ready().is_pending()));
    advance(6 * SECOND).await;
    let ready = idle.iter_mut().filter_map(|idle| idle.poll_ready().is_ready().then_some(()));
    assert_eq!(ready.count(), 100, "each takes the slot of another");

    let asked = Instant::now();
    for _ in 0..3 {
        service.clone().oneshot(()).await.unwrap();
    }
    assert_eq!((breaker.state(), asked.elapsed()), (State::Closed, Duration::ZERO));
}

// ---- the time of a call -----------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn the_time_of_a_probe_begins_with_its_call() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    let (inner, control) = backend();
    let mut service = task(CircuitBreakerLayer::new(breaker.clone()).layer(inner));
    assert!(service.poll_ready().is_ready());
    advance(9 * SECOND).await;
    let call = service.call("probe");
    advance(9 * SECOND).await;
    control.answer(Ok("fine"));
    call.await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_in_front_of_a_concurrency_limit_recovers() {
    let breaker = CircuitBreaker::new("limited"); // the defaults
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .concurrency_limit(1)
        .service(service_fn(|()| async {
            sleep(12 * SECOND).await;
            Ok::<(), &str>(())
        }));
    breaker.trip();
    advance(6 * SECOND).await;
    let callers = (0..4).map(|_| tokio::spawn(service.clone().oneshot(())));
    for caller in callers.collect::<Vec<_>>() {
        let _ = caller.await.unwrap(); // one of four is rejected
    }
    assert_eq!(breaker.state(), State::Closed);
}

// ---- healthy calls that take longer than the probe timeout ------------------------------------

#[tokio::test(start_paused = true)]
async fn a_dependency_whose_healthy_calls_take_longer_than_the_probe_timeout_recovers() {
    let breaker = CircuitBreaker::new("model"); // the defaults
    let report = || async {
        sleep(40 * SECOND).await;
        Ok::<(), &str>(())
    };
    breaker.trip();
    let start = Instant::now();
    while breaker.state() != State::Closed {
        sleep(SECOND).await;
        let caller = breaker.clone();
        tokio::spawn(async move { caller.call(report()).await });
        assert!(start.elapsed() < 300 * SECOND, "{}", breaker.snapshot());
    }
}

/// Lets a probe succeed after this time, which is too late.
async fn late(breaker: &CircuitBreaker, took: Duration) {
    let probe = permit(breaker);
    advance(took).await;
    probe.success();
    let wait = breaker.snapshot().retry_after().expect("the probe has timed out");
    advance(wait).await;
}

#[tokio::test(start_paused = true)]
async fn the_time_of_probes_is_twice_what_the_longest_late_success_took_up_to_ten_probe_timeouts() {
    let breaker = breaker();
    let time = |probe: Permit| {
        let left = breaker.snapshot().next_probe_timeout().unwrap();
        drop(probe);
        left
    };
    until_half_open(&breaker).await;
    assert_eq!(time(permit(&breaker)), 10 * SECOND);
    late(&breaker, 12 * SECOND).await;
    assert_eq!(time(permit(&breaker)), 24 * SECOND);
    late(&breaker, 30 * SECOND).await;
    assert_eq!(time(permit(&breaker)), 60 * SECOND);
    late(&breaker, 70 * SECOND).await;
    assert_eq!(time(permit(&breaker)), 100 * SECOND);

    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
    until_half_open(&breaker).await;
    assert_eq!(time(permit(&breaker)), 10 * SECOND, "it is forgotten when the circuit closes");
}

#[tokio::test(start_paused = true)]
async fn only_late_successes_of_this_outage_extend_the_time_of_probes() {
    let breaker = breaker();
    let earlier = permit(&breaker);
    until_half_open(&breaker).await;
    let probe = permit(&breaker);
    advance(20 * SECOND).await;
    probe.failure();
    earlier.success(); // it was admitted before the outage
    let _next = permit(&breaker);
    assert_eq!(breaker.snapshot().next_probe_timeout(), Some(10 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn whatever_probes_do_another_one_is_admitted_within_twice_their_time_and_the_wait() {
    let breaker = sensitive()
        .half_open(HalfOpen::consecutive_successes(2))
        .probe_timeout(10 * SECOND)
        .build()
        .unwrap();
    until_half_open(&breaker).await;
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let mut idle = task(layer.layer(backend().0));
    assert!(idle.poll_ready().is_ready());
    let _hanging = permit(&breaker);
    advance(10 * SECOND - MS).await;
    let hang = layer.layer(service_fn(|()| pending::<Result<(), ()>>()));
    let _called_late = tokio_test::task::spawn(hang.oneshot(())).poll();
    advance(11 * SECOND).await;
    let _next = permit(&breaker);
}
