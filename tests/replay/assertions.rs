//! Assertions for tests of settings, and settings that are known to be bad.

use std::panic::{UnwindSafe, catch_unwind};
use std::time::Duration;

use tower_breaker::replay::{
    Scenario, assert_opens_within, assert_recovers_within, assert_sheds_at_most,
};
use tower_breaker::{Backoff, CircuitBreaker, CircuitBreakerBuilder, SlidingWindow};

use crate::secs;

/// Returns the message of a panic.
fn message(act: impl FnOnce() + UnwindSafe) -> String {
    let panic = catch_unwind(act).expect_err("the assertion failed");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| {
        panic.downcast_ref::<&str>().map_or_else(String::new, |text| (*text).to_owned())
    })
}

fn does_not_open(
    settings: &(impl Fn() -> CircuitBreakerBuilder + std::panic::RefUnwindSafe),
    scenario: &Scenario,
) -> String {
    message(|| assert_opens_within(&settings(), scenario, secs(10)))
}

fn settings() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("payments").open_duration(Backoff::constant(secs(5)).jitter(0.0))
}

#[test]
fn settings_that_fit_the_traffic_pass() {
    for scenario in [
        Scenario::always_failing(50),
        Scenario::black_hole(50, secs(1)),
        Scenario::brown_out(50, 0.6),
        Scenario::overload(90, 100, secs(1)),
    ] {
        assert_opens_within(&settings(), &scenario, secs(5));
        assert_recovers_within(&settings(), &scenario, secs(30));
    }
    assert_sheds_at_most(&settings(), Scenario::one_lost_connection(50, 3), 0.0);
}

#[test]
fn a_window_that_never_fills_does_not_open() {
    let settings = || settings().failure_rate_threshold(0.5).minimum_calls(50);
    assert_eq!(
        does_not_open(&settings, &Scenario::black_hole(1, secs(1))),
        "the circuit did not open within 10s of the incident at 1m 0s \
         (a black hole of 60s: 1 call per second, each fails after 1s)\n  \
         then: closed for 1m 10s: failure rate not judged yet (28 of 50 calls)\n  \
         hint: minimum_calls is 50, and no circuit counts more than 31 calls in any 30.0s of this traffic"
    );
}

#[test]
fn a_rate_of_one_does_not_open_when_nearly_every_call_fails() {
    let settings = || settings().failure_rate_threshold(1.0);
    let message = does_not_open(&settings, &Scenario::brown_out(50, 0.95));
    assert!(message.contains("then: closed for 1m 10s: failure rate 0.3"), "{message}");
    assert!(
        message.contains(
            "hint: failure_rate_threshold is 1: a single success in the window keeps the circuit closed"
        ),
        "{message}"
    );
}

#[test]
fn a_slow_threshold_above_the_timeout_does_not_open() {
    let settings =
        || settings().slow_call_duration_threshold(secs(5)).slow_call_rate_threshold(0.5);
    let message = does_not_open(&settings, &Scenario::black_hole(50, secs(2)));
    assert!(message.contains("slow-call rate 0.00 of 0.5"), "{message}");
    assert!(
        message.contains(
            "hint: slow_call_duration_threshold is 5s, and the longest call of this traffic takes 2s"
        ),
        "{message}"
    );
}

#[test]
fn a_short_window_with_few_calls_does_not_open() {
    let settings =
        || settings().failure_count_threshold(5).sliding_window(SlidingWindow::time(secs(60)));
    let message = does_not_open(&settings, &Scenario::one_request_a_minute());
    assert!(message.contains("1 of 5 failures in the window"), "{message}");
    assert!(
        message.contains(
            "hint: failure_count_threshold is 5, and the window never holds more than 1 failures"
        ),
        "{message}"
    );
}

#[test]
fn a_failure_streak_that_is_too_long_does_not_open() {
    let settings = || settings().consecutive_failures(1000);
    let message = does_not_open(&settings, &Scenario::brown_out(50, 0.5));
    assert!(message.contains("of 1000 failures in a row"), "{message}");
    assert!(message.contains("hint: consecutive_failures is 1000, and at most"), "{message}");
}

#[test]
fn a_wait_that_is_too_long_does_not_recover() {
    let settings = || settings().open_duration(Backoff::constant(secs(600)).jitter(0.0));
    let message =
        message(|| assert_recovers_within(&settings(), Scenario::always_failing(50), secs(30)));
    assert_eq!(
        message,
        "the circuit was not closed within 30s of the end of the incident at 1m 0s \
         (an outage of 60s: 50 calls per second, each fails)\n  \
         then: open for 1m 29s (5 failures in a row), attempt 1: next probe in 8m 30s"
    );
}

#[test]
fn a_breaker_that_is_too_eager_sheds_good_calls() {
    let settings = || settings().consecutive_failures(2);
    let message =
        message(|| assert_sheds_at_most(&settings(), Scenario::one_lost_connection(50, 3), 0.01));
    assert!(
        message.starts_with("250 of 12000 good calls were shed, which is more than 0.01 of them"),
        "{message}"
    );
    assert!(
        message.contains("closed -> open (2 failures in a row), next probe in 5.0s"),
        "{message}"
    );
}

#[test]
fn traffic_without_an_incident_is_no_proof() {
    let healthy = Scenario::always_failing(50).lasting(Duration::ZERO).trace();
    let message = message(move || assert_opens_within(&settings(), &healthy, secs(10)));
    assert_eq!(message, "there is no incident in the trace");
}

#[test]
fn an_incident_that_does_not_end_is_no_proof_of_recovery() {
    let outage = Scenario::always_failing(50).healthy_after(Duration::ZERO).trace();
    let message = message(move || assert_recovers_within(&settings(), &outage, secs(10)));
    assert_eq!(message, "no incident ends within the trace");
}

#[test]
fn settings_and_times_without_bounds_are_explained_as_well() {
    let settings = || {
        settings()
            .failure_rate_threshold(1.0)
            .sliding_window(SlidingWindow::time(Duration::MAX))
            .minimum_calls(u32::MAX)
    };
    let message = message(|| {
        assert_opens_within(&settings(), Scenario::always_failing(5), Duration::MAX);
    });
    assert!(message.contains("failure rate not judged yet"), "{message}");
}

#[test]
fn a_percentage_is_no_share() {
    for share in [5.0, -0.1, f64::NAN] {
        let message = message(|| {
            assert_sheds_at_most(&settings(), Scenario::one_lost_connection(50, 3), share);
        });
        assert_eq!(message, format!("a share of {share} (allowed: 0.0 to 1.0)"));
    }
}

#[test]
fn invalid_settings_are_named() {
    let message = message(|| {
        let settings = settings().failure_rate_threshold(50.0);
        assert_opens_within(&settings, Scenario::always_failing(50), secs(10));
    });
    assert_eq!(
        message,
        "invalid `failure_rate_threshold`: 50 (allowed: a rate greater than 0 and at most 1)"
    );
}
