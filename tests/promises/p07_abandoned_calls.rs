//! Point 7: calls that are dropped before they have a result.

use std::future::pending;
use std::task::{Context, Waker};

use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, State};

use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

#[tokio::test(start_paused = true)]
async fn an_abandoned_call_is_neutral_however_long_it_took() {
    let breaker = CircuitBreaker::builder("neutral").failure_rate_threshold(0.1).build().unwrap();
    let abandoned = permit(&breaker);
    advance(3600 * SECOND).await;
    drop(abandoned);
    assert_eq!(breaker.snapshot().calls(), 0);

    let by_run = sensitive().build().unwrap();
    drop(permit(&by_run));
    assert_eq!(by_run.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn with_abandoned_after_a_call_that_is_dropped_late_has_failed() {
    let breaker = sensitive().abandoned_after(SECOND).build().unwrap();
    let [early, late] = [permit(&breaker), permit(&breaker)];
    advance(SECOND - MS).await;
    drop(early);
    assert_eq!(breaker.state(), State::Closed);
    advance(MS).await;
    drop(late);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn abandoned_after_applies_to_probes_too() {
    let breaker = sensitive().abandoned_after(SECOND).build().unwrap();
    until_half_open(&breaker).await;
    drop(permit(&breaker));
    assert_eq!(breaker.state(), State::HalfOpen);
    let probe = permit(&breaker);
    advance(SECOND).await;
    drop(probe);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_call_that_counts_as_a_failure_can_also_count_as_slow() {
    let breaker = CircuitBreaker::builder("slow")
        .failure_rate_threshold(1.0)
        .slow_call_duration_threshold(SECOND)
        .abandoned_after(SECOND)
        .build()
        .unwrap();
    let call = permit(&breaker);
    advance(SECOND).await;
    drop(call);
    assert_eq!((breaker.snapshot().failures(), breaker.snapshot().slow_calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_response_future_is_dropped_is_abandoned() {
    let breaker = sensitive().abandoned_after(SECOND).build().unwrap();
    let hang = service_fn(|()| pending::<Result<(), ()>>());
    let service = CircuitBreakerLayer::new(breaker.clone()).layer(hang);

    drop(service.clone().oneshot(()));
    let mut call = tokio_test::task::spawn(service.oneshot(()));
    assert!(call.poll().is_pending());
    assert_eq!(breaker.state(), State::Closed);
    advance(SECOND).await;
    drop(call);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_service_that_was_ready_for_long_abandons_nothing() {
    let breaker = sensitive().abandoned_after(SECOND).build().unwrap();
    let service = service_fn(|()| pending::<Result<(), ()>>());
    for is_half_open in [false, true] {
        if is_half_open {
            until_half_open(&breaker).await;
        }
        let service = CircuitBreakerLayer::new(breaker.clone()).layer(service);
        let mut service = tower_test::mock::Spawn::new(service);
        assert!(service.poll_ready::<()>().is_ready());
        advance(2 * SECOND).await;
        drop(service);
        let expected = if is_half_open { State::HalfOpen } else { State::Closed };
        assert_eq!(breaker.state(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_ignored_call_is_not_an_abandoned_one_however_long_it_took() {
    let breaker = sensitive().abandoned_after(SECOND).build().unwrap();
    for is_half_open in [false, true] {
        if is_half_open {
            until_half_open(&breaker).await;
        }
        let call = permit(&breaker);
        let state = breaker.state();
        advance(SECOND).await;
        call.ignore();
        assert_eq!(breaker.state(), state);
    }
}

#[test]
fn dropping_a_future_that_is_pending_counts_nothing() {
    let breaker = sensitive().build().unwrap();
    let mut call = Box::pin(breaker.call(pending::<Result<(), ()>>()));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(call);
    assert_eq!(breaker.state(), State::Closed);
}
