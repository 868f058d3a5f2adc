//! `force_open_for` and `force_closed_for`: an operator holds the circuit for a time, after which it is resumed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::Layer;
use tower_breaker::{
    Backoff, Cause, CircuitBreaker, CircuitBreakerLayer, EventKind, OperatorAction, RejectReason,
    SlidingWindow, State,
};

use crate::backend::{backend, task};
use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

fn breaker() -> CircuitBreaker {
    sensitive().build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn force_open_for_rejects_everything_until_its_time_is_over_and_then_the_next_call_is_a_probe()
 {
    let breaker = breaker();
    breaker.force_open_for(10 * SECOND);
    advance(10 * SECOND - MS).await;
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!((rejected.reason(), rejected.retry_after()), (RejectReason::ForcedOpen, Some(MS)));
    let printed =
        "circuit breaker `test` rejected the call: the circuit is forced open, next probe in 1.0ms";
    assert_eq!(rejected.to_string(), printed);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.is_forced(), snapshot.forced_for()), (true, Some(MS)));
    assert_eq!((snapshot.retry_after(), snapshot.attempt()), (Some(MS), None));
    advance(MS).await;
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn whoever_looks_sees_that_the_time_is_over_since_then_and_listeners_learn_of_it_by_a_call() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let listener = received.clone();
    let breaker = sensitive()
        .on_transition(move |transition| listener.lock().unwrap().push(transition.clone()))
        .build()
        .unwrap();
    let begun = Instant::now();
    breaker.force_open_for(10 * SECOND);
    advance(25 * SECOND).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.is_forced(), snapshot.forced_for()), (false, None));
    assert_eq!((snapshot.age(), snapshot.cause()), (15 * SECOND, Some(Cause::Resume)));
    assert_eq!(breaker.history().last().unwrap().at(), begun + 10 * SECOND);
    assert_eq!(received.lock().unwrap().len(), 1, "looking notifies nobody");

    permit(&breaker).ignore();
    let received = received.lock().unwrap();
    let [_, resumed] = &received[..] else { panic!("{received:?}") };
    assert_eq!((resumed.from(), resumed.to()), (State::Open, State::HalfOpen));
    assert_eq!((resumed.cause(), resumed.at()), (Cause::Resume, begun + 10 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn force_closed_for_trips_on_nothing_until_its_time_is_over_and_then_judges_all_that_was_counted()
 {
    let windows = [SlidingWindow::count(100), SlidingWindow::time(60 * SECOND)];
    for window in windows {
        let builder = CircuitBreaker::builder("forced").failure_rate_threshold(0.5);
        let breaker = builder.sliding_window(window).minimum_calls(4).build().unwrap();
        permit(&breaker).success();
        breaker.force_closed_for(10 * SECOND);
        (0..50).for_each(|_| permit(&breaker).failure());
        assert_eq!(breaker.snapshot().forced_for(), Some(10 * SECOND));
        advance(10 * SECOND - MS).await;
        (0..5).for_each(|_| permit(&breaker).failure());
        assert_eq!(breaker.state(), State::Closed);

        let in_flight = permit(&breaker);
        advance(MS).await;
        assert!(!breaker.snapshot().is_forced());
        assert_eq!((breaker.state(), breaker.snapshot().calls()), (State::Closed, 56));
        in_flight.success();
        let tripped = Cause::FailureRate { failures: 55, calls: 57 };
        assert_eq!((breaker.state(), breaker.snapshot().cause()), (State::Open, Some(tripped)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_streak_of_a_time_without_a_window_is_judged_when_that_is_over() {
    let breaker = CircuitBreaker::builder("forced").consecutive_failures(3).build().unwrap();
    breaker.force_closed_for(SECOND);
    (0..2).for_each(|_| permit(&breaker).failure());
    advance(SECOND).await;
    permit(&breaker).failure();
    assert_eq!(breaker.snapshot().cause(), Some(Cause::ConsecutiveFailures { failures: 3 }));
}

#[tokio::test(start_paused = true)]
async fn forcing_a_circuit_again_replaces_the_end() {
    let breaker = breaker();
    breaker.force_open_for(10 * SECOND);
    breaker.force_open();
    advance(3600 * SECOND).await;
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), None);
    breaker.force_open_for(2 * SECOND);
    breaker.force_open_for(SECOND);
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), Some(SECOND));
    assert_eq!(breaker.history().len(), 1, "all of this is one period");

    breaker.force_closed_for(10 * SECOND);
    breaker.force_closed();
    advance(3600 * SECOND).await;
    assert_eq!((breaker.snapshot().is_forced(), breaker.snapshot().forced_for()), (true, None));
    breaker.force_closed_for(SECOND);
    breaker.force_open_for(2 * SECOND);
    advance(SECOND).await;
    assert_eq!(breaker.snapshot().forced_for(), Some(SECOND));
}

#[tokio::test(start_paused = true)]
async fn resume_ends_it_early_and_reset_keeps_its_end() {
    let breaker = breaker();
    breaker.force_open_for(10 * SECOND);
    breaker.reset();
    assert_eq!(breaker.snapshot().forced_for(), Some(10 * SECOND));
    breaker.resume();
    assert_eq!(breaker.state(), State::HalfOpen);

    breaker.force_closed_for(10 * SECOND);
    breaker.reset();
    assert_eq!(breaker.snapshot().forced_for(), Some(10 * SECOND));
    breaker.resume();
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn no_time_at_all_is_over_at_once() {
    let breaker = breaker();
    breaker.force_open_for(Duration::ZERO);
    assert_eq!((breaker.state(), breaker.snapshot().is_forced()), (State::HalfOpen, false));
    permit(&breaker).failure();
    breaker.force_closed_for(Duration::ZERO);
    assert_eq!((breaker.state(), breaker.snapshot().is_forced()), (State::Closed, false));
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_time_longer_than_73_years_never_ends() {
    const YEAR: u32 = 365 * 24 * 3600;
    for time in [Duration::MAX, 74 * YEAR * SECOND] {
        let breaker = breaker();
        breaker.force_open_for(time);
        advance(YEAR * SECOND).await;
        assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), None);
        assert_eq!((breaker.snapshot().is_forced(), breaker.snapshot().forced_for()), (true, None));
        breaker.force_open_for(10 * YEAR * SECOND);
        assert_eq!(breaker.snapshot().forced_for(), Some(10 * YEAR * SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_is_woken_when_the_time_is_over() {
    let breaker = breaker();
    let (backend, _control) = backend();
    let layer = CircuitBreakerLayer::new(breaker.clone()).backpressure();
    let mut service = task(layer.layer(backend));
    breaker.force_open_for(10 * SECOND);
    assert_pending!(service.poll_ready());
    let begun = Instant::now();
    breaker.acquire().await.success();
    assert!(begun.elapsed() - 10 * SECOND < 2 * MS, "{:?}", begun.elapsed());
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn a_shorter_time_is_noticed_by_those_who_wait_already() {
    let breaker = breaker();
    let waiting = tokio::spawn({
        let breaker = breaker.clone();
        async move { breaker.acquire().await.success() }
    });
    breaker.force_open();
    advance(SECOND).await;
    breaker.force_open_for(SECOND);
    tokio::time::timeout(2 * SECOND, waiting).await.expect("it is woken").unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_rejection_is_enforced_until_the_time_is_over_and_none_afterwards_in_shadow_mode() {
    let breaker = sensitive().enforcement(0.0).build().unwrap();
    breaker.force_open_for(SECOND);
    (0..10).for_each(|_| assert!(breaker.try_acquire().is_err()));
    advance(SECOND).await;
    let probe = permit(&breaker);
    assert!(!probe.is_shadow());
    assert!(permit(&breaker).is_shadow(), "there is no other slot");
}

#[tokio::test(start_paused = true)]
async fn the_probe_that_fails_after_it_opens_the_circuit_as_at_first() {
    let backoff = Backoff::exponential(SECOND, 100 * SECOND).jitter(0.0);
    let breaker = sensitive().open_duration(backoff).build().unwrap();
    until_half_open(&breaker).await;
    breaker.force_open_for(SECOND);
    advance(SECOND).await;
    permit(&breaker).failure();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.attempt(), snapshot.retry_after()), (Some(2), Some(2 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn listeners_learn_for_how_long_an_operator_holds_the_circuit() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let listener = received.clone();
    let breaker = sensitive()
        .on_event(move |event| {
            if let EventKind::OperatorAction(action) = event.kind() {
                listener.lock().unwrap().push((action, event.to_string()));
            }
        })
        .build()
        .unwrap();
    breaker.force_open_for(600 * SECOND);
    breaker.force_closed_for(90 * SECOND);
    advance(3600 * SECOND).await;
    permit(&breaker).success();
    let expected = [
        (OperatorAction::ForceOpenFor { duration: 600 * SECOND }, "test: force_open_for(600s)"),
        (OperatorAction::ForceClosedFor { duration: 90 * SECOND }, "test: force_closed_for(90s)"),
    ];
    let expected = expected.map(|(action, printed)| (action, printed.to_owned()));
    assert_eq!(*received.lock().unwrap(), expected, "nobody acts when the time is over");
}
