//! `failure_retry_after`: if the callee asks not to be called for a while, the circuit stays open for that
//! long, within limits.

use std::time::Duration;

use tokio::time::Instant;
use tower_breaker::{
    Backoff, Cause, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Permit, RejectReason,
    SlidingWindow, State, Transition,
};

const SECOND: Duration = Duration::from_secs(1);
const NS: Duration = Duration::from_nanos(1);

/// A circuit that trips at the first failure, is open for a second, and closes after one successful probe.
/// Without jitter, so that a retry-after is not stretched either.
fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test")
        .consecutive_failures(1)
        .open_duration(Backoff::constant(SECOND).jitter(0.0))
        .half_open(HalfOpen::consecutive_successes(1))
}

/// A circuit that trips on a retry-after and hardly on anything else.
fn obedient() -> CircuitBreakerBuilder {
    sensitive().consecutive_failures(1000).trip_on_retry_after(true)
}

fn permit(breaker: &CircuitBreaker) -> Permit {
    breaker.try_acquire().expect("the call should be admitted")
}

async fn advance(time: Duration) {
    tokio::time::advance(time).await;
}

/// Waits until the circuit admits a call, and returns how long that took. Checks that everything that tells
/// the wait agrees.
async fn wait(breaker: &CircuitBreaker) -> Duration {
    assert_eq!(breaker.state(), State::Open);
    let rejected = breaker.try_acquire().expect_err("the circuit is open");
    assert_eq!(rejected.reason(), RejectReason::Open);
    let wait = rejected.retry_after().expect("the circuit is not forced");
    assert_eq!(breaker.snapshot().retry_after(), Some(wait));
    assert_eq!(last(breaker).open_duration(), Some(wait));
    let opened = Instant::now();
    advance(wait - NS).await;
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), Some(NS));
    advance(NS).await;
    drop(permit(breaker));
    assert_eq!(opened.elapsed(), wait);
    wait
}

fn last(breaker: &CircuitBreaker) -> Transition {
    breaker.history().pop().expect("there was a transition")
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_longer_than_the_wait_keeps_the_circuit_open_for_exactly_that_long() {
    let breaker = sensitive().build().unwrap();
    permit(&breaker).failure_retry_after(Duration::from_millis(12_345));
    assert_eq!(last(&breaker).cause(), Cause::ConsecutiveFailures { failures: 1 });
    assert_eq!(wait(&breaker).await, Duration::from_millis(12_345));
}

#[tokio::test(start_paused = true)]
async fn the_retry_after_is_counted_from_the_moment_of_the_report() {
    let breaker = sensitive().build().unwrap();
    let call = permit(&breaker);
    advance(7 * SECOND).await;
    call.failure_retry_after(3 * SECOND);
    assert_eq!(wait(&breaker).await, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_shorter_than_the_wait_does_not_shorten_it() {
    for retry_after in [Duration::ZERO, NS, SECOND - NS, SECOND] {
        let breaker = sensitive().build().unwrap();
        permit(&breaker).failure_retry_after(retry_after);
        assert_eq!(wait(&breaker).await, SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_lengthened_by_up_to_the_jitter_and_never_shortened() {
    for _ in 0..20 {
        let breaker =
            sensitive().open_duration(Backoff::constant(SECOND).jitter(1.0)).build().unwrap();
        permit(&breaker).failure_retry_after(5 * SECOND);
        let wait = wait(&breaker).await;
        assert!((5 * SECOND..=10 * SECOND).contains(&wait), "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_capped() {
    let breaker = sensitive().max_retry_after(10 * SECOND).build().unwrap();
    for (retry_after, expected) in [
        (10 * SECOND - NS, 10 * SECOND - NS),
        (10 * SECOND, 10 * SECOND),
        (11 * SECOND, 10 * SECOND),
    ] {
        permit(&breaker).failure_retry_after(retry_after);
        assert_eq!(wait(&breaker).await, expected);
        breaker.reset();
    }
}

#[tokio::test(start_paused = true)]
async fn the_default_cap_is_five_minutes() {
    let breaker = sensitive().build().unwrap();
    permit(&breaker).failure_retry_after(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(wait(&breaker).await, 300 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_wait_longer_than_the_cap_is_kept() {
    let breaker =
        sensitive().open_duration(60 * SECOND).max_retry_after(10 * SECOND).build().unwrap();
    permit(&breaker).failure_retry_after(3600 * SECOND);
    assert_eq!(wait(&breaker).await, 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn without_a_cap_the_longest_retry_after_lasts_for_centuries() {
    let breaker = sensitive().max_retry_after(Duration::MAX).build().unwrap();
    permit(&breaker).failure_retry_after(Duration::MAX);
    let century = Duration::from_secs(100 * 365 * 24 * 3600);
    assert!(breaker.try_acquire().unwrap_err().retry_after() > Some(century));
    assert!(last(&breaker).open_duration() > Some(century));
    advance(century).await;
    assert_eq!(breaker.state(), State::Open);
    breaker.try_acquire().unwrap_err();
    breaker.reset();
    permit(&breaker).success();
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_that_does_not_trip_counts_if_the_circuit_opens_before_it_has_passed() {
    let breaker = sensitive().consecutive_failures(2).build().unwrap();
    permit(&breaker).failure_retry_after(60 * SECOND);
    assert_eq!(breaker.state(), State::Closed);
    advance(10 * SECOND).await;
    permit(&breaker).failure();
    assert_eq!(wait(&breaker).await, 50 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_failure_with_a_retry_after_counts_like_any_other() {
    let breaker = CircuitBreaker::builder("test")
        .failure_rate_threshold(1.0)
        .sliding_window(SlidingWindow::count(10))
        .build()
        .unwrap();
    permit(&breaker).failure_retry_after(SECOND);
    permit(&breaker).success();
    permit(&breaker).failure_retry_after(Duration::ZERO);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls(), snapshot.failures()), (3, 2));
    assert_eq!(snapshot.consecutive_failures(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_trips_honours_the_longest_retry_after_of_its_period() {
    let breaker = sensitive()
        .consecutive_failures(1000)
        .failure_rate_threshold(0.5)
        .minimum_calls(4)
        .build()
        .unwrap();
    (0..2).for_each(|_| permit(&breaker).success());
    permit(&breaker).failure_retry_after(60 * SECOND);
    permit(&breaker).failure_retry_after(9 * SECOND);
    assert_eq!(last(&breaker).cause(), Cause::FailureRate { failures: 2, calls: 4 });
    assert_eq!(wait(&breaker).await, 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_backoff_continues_as_usual_after_a_retry_after() {
    let backoff = Backoff::exponential(SECOND, 60 * SECOND).jitter(0.0);
    let breaker = sensitive().open_duration(backoff).build().unwrap();
    permit(&breaker).failure_retry_after(30 * SECOND);
    assert_eq!((last(&breaker).attempt(), wait(&breaker).await), (Some(1), 30 * SECOND));
    permit(&breaker).failure();
    assert_eq!((last(&breaker).attempt(), wait(&breaker).await), (Some(2), 2 * SECOND));
    permit(&breaker).failure_retry_after(3 * SECOND);
    assert_eq!((last(&breaker).attempt(), wait(&breaker).await), (Some(3), 4 * SECOND));
    permit(&breaker).success();
    permit(&breaker).failure();
    assert_eq!((last(&breaker).attempt(), wait(&breaker).await), (Some(1), SECOND));
}

// ---- half-open --------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_with_a_retry_after_keeps_the_circuit_open_for_that_long() {
    for trips in [false, true] {
        let breaker = sensitive().trip_on_retry_after(trips).build().unwrap();
        breaker.trip();
        wait(&breaker).await;
        permit(&breaker).failure_retry_after(20 * SECOND);
        assert_eq!(last(&breaker).cause(), Cause::ProbeFailed);
        assert_eq!(wait(&breaker).await, 20 * SECOND);
    }
}

fn sampling() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test")
        .failure_rate_threshold(0.5)
        .open_duration(Backoff::constant(SECOND).jitter(0.0))
        .half_open(HalfOpen::sample(3))
}

#[tokio::test(start_paused = true)]
async fn a_sample_honours_the_longest_retry_after_of_its_failures() {
    let breaker = sampling().build().unwrap();
    for (waits, expected) in [
        ([20 * SECOND, 30 * SECOND, 10 * SECOND], 30 * SECOND),
        ([Duration::ZERO, Duration::ZERO, Duration::ZERO], SECOND),
    ] {
        breaker.trip();
        wait(&breaker).await;
        for retry_after in waits {
            permit(&breaker).failure_retry_after(retry_after);
        }
        assert_eq!(last(&breaker).cause(), Cause::FailureRate { failures: 3, calls: 3 });
        assert_eq!(wait(&breaker).await, expected);
        breaker.reset();
    }
}

#[tokio::test(start_paused = true)]
async fn a_sample_that_closes_ignores_every_retry_after() {
    let breaker = sampling().build().unwrap();
    breaker.trip();
    wait(&breaker).await;
    permit(&breaker).success();
    permit(&breaker).success();
    permit(&breaker).failure_retry_after(20 * SECOND);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn with_trip_on_retry_after_a_sample_opens_at_the_first_one() {
    let breaker = sampling().trip_on_retry_after(true).build().unwrap();
    breaker.trip();
    wait(&breaker).await;
    let other = permit(&breaker);
    permit(&breaker).failure_retry_after(20 * SECOND);
    assert_eq!(last(&breaker).cause(), Cause::RetryAfter);
    other.failure_retry_after(90 * SECOND);
    assert_eq!(wait(&breaker).await, 20 * SECOND);
}

// ---- stale reports and operators -----------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_stale_retry_after_has_no_effect() {
    for trips in [false, true] {
        let breaker = sensitive().trip_on_retry_after(trips).build().unwrap();
        let (before_open, before_reset) = (permit(&breaker), permit(&breaker));
        permit(&breaker).failure();
        before_open.failure_retry_after(60 * SECOND);
        assert_eq!(wait(&breaker).await, SECOND);
        breaker.reset();
        before_reset.failure_retry_after(60 * SECOND);
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.snapshot().consecutive_failures(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_retry_after_of_a_probe_that_has_timed_out_has_no_effect() {
    let breaker = sensitive().probe_timeout(5 * SECOND).build().unwrap();
    breaker.trip();
    advance(SECOND).await;
    let late = permit(&breaker);
    advance(5 * SECOND).await;
    late.failure_retry_after(60 * SECOND);
    assert_eq!(wait(&breaker).await, SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_retry_after_of_a_call_of_a_dropped_breaker_has_no_effect_on_others() {
    let earlier = obedient().build().unwrap();
    let late = permit(&earlier);
    drop(earlier);
    let others: Vec<CircuitBreaker> = (0..30).map(|_| obedient().build().unwrap()).collect();
    late.failure_retry_after(60 * SECOND);
    assert!(others.iter().all(|other| other.state() == State::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_does_not_open_a_circuit_that_is_forced_closed() {
    let breaker = obedient().consecutive_failures(1).build().unwrap();
    breaker.force_closed();
    permit(&breaker).failure_retry_after(60 * SECOND);
    assert_eq!(breaker.state(), State::Closed);
    breaker.resume();
    assert_eq!(breaker.state(), State::Closed);
    permit(&breaker).failure();
    assert_eq!(wait(&breaker).await, 60 * SECOND, "but it counts when the circuit opens");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_does_not_change_a_circuit_that_is_forced_open() {
    let breaker = obedient().build().unwrap();
    let late = permit(&breaker);
    breaker.force_open();
    late.failure_retry_after(60 * SECOND);
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), None);
    breaker.resume();
    permit(&breaker).success();
}

#[tokio::test(start_paused = true)]
async fn an_operator_ends_the_wait_of_a_retry_after() {
    let breaker = obedient().build().unwrap();
    permit(&breaker).failure_retry_after(60 * SECOND);
    breaker.reset();
    permit(&breaker).success();
    permit(&breaker).failure_retry_after(60 * SECOND);
    breaker.force_closed();
    permit(&breaker).success();
}

#[tokio::test(start_paused = true)]
async fn a_waiting_caller_is_admitted_when_the_retry_after_has_elapsed() {
    let breaker = sensitive().build().unwrap();
    permit(&breaker).failure_retry_after(20 * SECOND);
    let asked = Instant::now();
    breaker.acquire().await.success();
    assert!((20 * SECOND..21 * SECOND).contains(&asked.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn retry_after_seconds_are_whole_rounded_up_and_at_least_one() {
    let breaker = sensitive().open_duration(3 * SECOND).build().unwrap();
    breaker.trip();
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.retry_after_seconds(), Some(3));
    for (time, expected) in [(NS, 3), (SECOND - NS, 2), (NS, 2), (2 * SECOND, 1)] {
        advance(time).await;
        assert_eq!(rejected.retry_after_seconds(), Some(expected), "{time:?} later");
    }
    breaker.force_open();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after_seconds(), None);
}

// ---- tripping -----------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_retry_after_trips_at_once_with_trip_on_retry_after() {
    let breaker = obedient().build().unwrap();
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Closed);
    permit(&breaker).failure_retry_after(NS);
    assert_eq!(last(&breaker).cause(), Cause::RetryAfter);
    assert_eq!(wait(&breaker).await, SECOND, "for no less than the usual wait");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_that_trips_needs_no_minimum_of_calls() {
    let builder = CircuitBreaker::builder("test")
        .failure_rate_threshold(1.0)
        .minimum_calls(100)
        .open_duration(SECOND)
        .trip_on_retry_after(true);
    let breaker = builder.open_duration(Backoff::constant(SECOND).jitter(0.0)).build().unwrap();
    (0..10).for_each(|_| permit(&breaker).success());
    permit(&breaker).failure_retry_after(2 * SECOND);
    assert_eq!(last(&breaker).cause(), Cause::RetryAfter);
    assert_eq!(wait(&breaker).await, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_that_trips_is_capped_too() {
    let breaker = obedient().max_retry_after(10 * SECOND).build().unwrap();
    permit(&breaker).failure_retry_after(Duration::MAX);
    assert_eq!(wait(&breaker).await, 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_zero_does_not_trip() {
    let breaker = obedient().build().unwrap();
    permit(&breaker).failure_retry_after(Duration::ZERO);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().consecutive_failures(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_does_not_trip_by_default() {
    for builder in [sensitive().consecutive_failures(2), obedient().trip_on_retry_after(false)] {
        let breaker = builder.build().unwrap();
        permit(&breaker).failure_retry_after(60 * SECOND);
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_streak_that_trips_is_the_cause_rather_than_the_retry_after() {
    let breaker = obedient().consecutive_failures(1).build().unwrap();
    permit(&breaker).failure_retry_after(9 * SECOND);
    assert_eq!(last(&breaker).cause(), Cause::ConsecutiveFailures { failures: 1 });
    assert_eq!(wait(&breaker).await, 9 * SECOND);
}

#[test]
fn trip_on_retry_after_is_not_a_trip_rule() {
    // The default rules stay on.
    let breaker = CircuitBreaker::builder("test").trip_on_retry_after(true).build().unwrap();
    (0..5).for_each(|_| permit(&breaker).failure());
    assert_eq!(last(&breaker).cause(), Cause::ConsecutiveFailures { failures: 5 });
}

#[test]
fn a_cap_of_zero_is_an_error() {
    let error = sensitive().max_retry_after(Duration::ZERO).build().unwrap_err();
    assert_eq!((error.setting(), error.value()), ("max_retry_after", "0ns"));
    assert!(error.to_string().contains("longer than zero"));
}
