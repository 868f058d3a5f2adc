//! Calls without a Tower service: `call`, `call_with`, `call_blocking`, and handles that keep nothing alive.

use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio_test::task;
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerError, Outcome, State};

fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("calls").consecutive_failures(1)
}

#[tokio::test(start_paused = true)]
async fn a_classifier_of_a_single_call_decides_its_outcome() {
    let breaker = CircuitBreaker::new("calls");
    let outcome = |outcome| breaker.call_with(ready(Err::<(), _>("no")), move |_| outcome);
    outcome(Outcome::Success).await.unwrap_err();
    outcome(Outcome::Ignored).await.unwrap_err();
    assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (1, 0));
    outcome(Outcome::Failure).await.unwrap_err();
    assert_eq!(breaker.snapshot().consecutive_failures(), 1);
    outcome(Outcome::SoftFailure).await.unwrap_err();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.failures(), snapshot.consecutive_failures()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_classifier_of_a_single_call_can_report_a_retry_after() {
    let hour = Duration::from_secs(3600);
    let breaker = sensitive().max_retry_after(hour).build().unwrap();
    let asks = |_: &Result<(), &str>| Outcome::FailureRetryAfter(hour);
    breaker.call_with(ready(Err("busy")), asks).await.unwrap_err();
    assert!(breaker.snapshot().retry_after().unwrap() >= hour);
}

#[test]
fn a_soft_failure_is_no_part_of_a_failure_streak_and_does_not_end_it() {
    let breaker = CircuitBreaker::builder("calls").consecutive_failures(3).build().unwrap();
    for _ in 0..10 {
        breaker.try_acquire().unwrap().soft_failure();
    }
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..2 {
        breaker.try_acquire().unwrap().failure();
    }
    breaker.try_acquire().unwrap().soft_failure();
    assert_eq!(breaker.state(), State::Closed);
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_call_asks_for_admission_at_its_first_poll() {
    let breaker = sensitive().build().unwrap();
    let call = breaker.call(ready(Ok::<_, ()>(7)));
    breaker.trip();
    let error = task::spawn(call).poll();
    assert!(matches!(error, std::task::Poll::Ready(Err(CircuitBreakerError::Rejected(_)))));
}

#[test]
fn the_future_of_a_call_holds_the_protected_future_once() {
    let breaker = CircuitBreaker::new("calls");
    let large = async {
        let buffer = [0_u8; 4096];
        pending::<()>().await;
        Ok::<_, ()>(buffer)
    };
    let size = size_of_val(&large);
    let call = breaker.call(large);
    assert!(size_of_val(&call) <= size + 64, "{} and {size}", size_of_val(&call));
    let nested = size_of_val(&call);
    let outer = CircuitBreaker::new("outer");
    assert!(size_of_val(&outer.call(call)) <= nested + 64);
}

#[test]
fn a_blocking_call_is_recorded_and_a_panic_is_a_failure() {
    let breaker = CircuitBreaker::builder("calls").consecutive_failures(2).build().unwrap();
    assert_eq!(breaker.call_blocking(|| Ok::<_, ()>(7)), Ok(7));
    assert_eq!(breaker.call_blocking(|| Err::<(), _>("no")), Err(CircuitBreakerError::Inner("no")));
    let panics = || breaker.call_blocking(|| -> Result<(), ()> { panic!("on purpose") });
    catch_unwind(panics).unwrap_err();
    assert_eq!(breaker.state(), State::Open);
    let rejected = breaker.call_blocking(|| -> Result<(), ()> { unreachable!("it is not run") });
    assert!(rejected.unwrap_err().rejected().is_some());
}

#[test]
fn a_classifier_that_panics_abandons_the_call() {
    let breaker = sensitive().build().unwrap();
    let call = breaker.call_with(ready(Ok::<_, ()>(())), |_| panic!("on purpose"));
    let mut call = task::spawn(call);
    catch_unwind(AssertUnwindSafe(|| call.poll())).unwrap_err();
    assert_eq!((breaker.state(), breaker.snapshot().calls()), (State::Closed, 0));
}

#[test]
fn a_weak_handle_keeps_nothing_alive() {
    let breaker = CircuitBreaker::new("calls");
    let weak = breaker.downgrade();
    let other = weak.upgrade().unwrap();
    other.trip();
    assert_eq!(breaker.state(), State::Open);
    drop((breaker, other));
    assert!(weak.clone().upgrade().is_none());
}

#[test]
fn many_failures_in_a_short_time_trip_however_many_calls_there_are() {
    let breaker = CircuitBreaker::builder("burst").failure_count_threshold(5).build().unwrap();
    for _ in 0..4 {
        (0..1000).for_each(|_| breaker.try_acquire().unwrap().success());
        breaker.try_acquire().unwrap().failure();
    }
    assert!(breaker.snapshot().to_string().contains("4 of 5 failures in the window"));
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
    let cause = breaker.history().pop().unwrap().cause();
    assert_eq!(
        (cause.name(), cause.to_string()),
        ("failure_count", "5 failures in the window".into())
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_failures_over_a_long_time_do_not_trip() {
    let breaker = CircuitBreaker::builder("rare").failure_count_threshold(5).build().unwrap();
    for _ in 0..100 {
        breaker.try_acquire().unwrap().failure();
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn without_trip_rules_only_an_outside_signal_opens_the_circuit() {
    let breaker = CircuitBreaker::builder("signal").no_trip_rules().build().unwrap();
    (0..1000).for_each(|_| breaker.try_acquire().unwrap().failure());
    assert_eq!((breaker.state(), breaker.snapshot().trip_rules().count()), (State::Closed, 0));
    breaker.trip();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn rules_that_contradict_each_other_or_can_never_hold_are_errors() {
    let builder = || CircuitBreaker::builder("wrong");
    let both = builder().no_trip_rules().consecutive_failures(3).build().unwrap_err();
    assert_eq!(both.setting(), "no_trip_rules");
    let window = tower_breaker::SlidingWindow::count(4);
    let never = builder().failure_count_threshold(5).sliding_window(window).build().unwrap_err();
    assert_eq!(never.setting(), "failure_count_threshold");
    let zero = builder().failure_count_threshold(0).build().unwrap_err();
    assert_eq!(zero.to_string(), "invalid `failure_count_threshold`: 0 (allowed: at least 1)");
}
