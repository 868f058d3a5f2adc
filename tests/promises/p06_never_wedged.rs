//! Point 6: whatever happens to probes, another one is admitted within a bounded time.

use std::future::pending;

use tower::util::ServiceFn;
use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::{
    Backoff, CircuitBreaker, CircuitBreakerLayer, CircuitBreakerService, HalfOpen, Permit, State,
};

use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

fn breaker() -> CircuitBreaker {
    sensitive().probe_timeout(10 * SECOND).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_has_failed_when_its_time_has_elapsed() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    let hanging = permit(&breaker);
    advance(10 * SECOND - MS).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    advance(MS).await;
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().retry_after(), Some(SECOND));
    hanging.success();
    assert_eq!(breaker.state(), State::Open, "what it reports later is stale");
}

#[tokio::test(start_paused = true)]
async fn the_open_period_begins_when_the_probes_time_has_elapsed_no_matter_who_notices_or_when() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    let _hanging = permit(&breaker);
    advance(10 * SECOND + SECOND / 4).await;
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.retry_after(), Some(SECOND * 3 / 4));

    advance(SECOND * 3 / 4).await;
    let _also_hanging = permit(&breaker);
    advance(1000 * SECOND).await;
    let _next = permit(&breaker);
    assert_eq!(breaker.state(), State::HalfOpen, "the open period has elapsed unnoticed");
}

#[tokio::test(start_paused = true)]
async fn each_probe_has_its_own_time() {
    let breaker = sensitive()
        .half_open(HalfOpen::consecutive_successes(3))
        .probe_timeout(10 * SECOND)
        .build()
        .unwrap();
    until_half_open(&breaker).await;
    let first = permit(&breaker);
    advance(6 * SECOND).await;
    let second = permit(&breaker);
    advance(3 * SECOND).await;
    first.success();
    advance(6 * SECOND).await;
    assert_eq!(breaker.state(), State::HalfOpen, "the second probe has a second left");
    advance(SECOND).await;
    assert_eq!(breaker.state(), State::Open);
    second.success();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_times_out_counts_as_an_open_period_for_the_backoff() {
    let backoff = Backoff::exponential(SECOND, 100 * SECOND).jitter(0.0);
    let breaker = sensitive().open_duration(backoff).probe_timeout(SECOND).build().unwrap();
    until_half_open(&breaker).await;
    for wait in [2, 4, 8] {
        let _hanging = permit(&breaker);
        advance(SECOND).await;
        assert_eq!(breaker.snapshot().retry_after(), Some(wait * SECOND));
        advance(wait * SECOND).await;
    }
}

/// Uses up all probe slots with `probe`, and checks that another probe is admitted in time.
async fn recovers_from<Probe>(mut probe: impl FnMut(&CircuitBreaker) -> Probe) {
    let breaker = sensitive()
        .half_open(HalfOpen::consecutive_successes(3))
        .probe_timeout(10 * SECOND)
        .build()
        .unwrap();
    until_half_open(&breaker).await;
    let _probes: Vec<Probe> = (0..3).map(|_| probe(&breaker)).collect();
    advance(11 * SECOND).await;
    let _next = permit(&breaker);
}

type Hanging = std::future::Pending<Result<(), ()>>;

type Backend = ServiceFn<fn(()) -> Hanging>;

fn service(breaker: &CircuitBreaker) -> CircuitBreakerService<Backend> {
    let hang: fn(()) -> Hanging = |()| pending();
    CircuitBreakerLayer::new(breaker.clone()).layer(service_fn(hang))
}

#[tokio::test(start_paused = true)]
async fn permits_that_are_leaked_do_not_wedge_it() {
    recovers_from(|breaker| std::mem::forget(permit(breaker))).await;
}

#[tokio::test(start_paused = true)]
async fn permits_that_are_kept_do_not_wedge_it() {
    recovers_from(permit).await;
}

#[tokio::test(start_paused = true)]
async fn permits_that_are_ignored_or_dropped_do_not_wedge_it() {
    recovers_from(|breaker| permit(breaker).ignore()).await;
    recovers_from(|breaker| drop(permit(breaker))).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_do_not_wedge_it() {
    recovers_from(|breaker| {
        let mut call = tokio_test::task::spawn(service(breaker).oneshot(()));
        assert!(call.poll().is_pending());
        call
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_dropped_before_or_after_their_first_poll_do_not_wedge_it() {
    recovers_from(|breaker| drop(service(breaker).oneshot(()))).await;
    recovers_from(|breaker| {
        let mut call = tokio_test::task::spawn(service(breaker).oneshot(()));
        assert!(call.poll().is_pending());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn services_that_are_ready_but_never_called_do_not_wedge_it() {
    recovers_from(|breaker| {
        let mut service = tower_test::mock::Spawn::new(service(breaker));
        assert!(service.poll_ready().is_ready());
        service
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn probes_that_panic_do_not_wedge_it() {
    recovers_from(|breaker| {
        let call = breaker.call(async { panic!("on purpose") as Result<(), ()> });
        let mut call = tokio_test::task::spawn(call);
        // The first panic reopens the circuit, so the other calls are rejected.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call.poll()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_years_do_not_wedge_it() {
    let breaker = breaker();
    let year = 365 * 24 * 3600 * SECOND;
    until_half_open(&breaker).await;
    for _ in 0..100 {
        let _hanging: Permit = permit(&breaker);
        advance(year).await;
    }
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
}
