//! Point 12: an invalid setting is an error that says what is wrong, and never a panic.

use std::time::Duration;

use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    Backoff, CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, ConfigError, HalfOpen,
    SlidingWindow, State,
};

use crate::{SECOND, advance, permit};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn error(set: impl FnOnce(CircuitBreakerBuilder) -> CircuitBreakerBuilder) -> ConfigError {
    set(CircuitBreaker::builder("bad")).build().expect_err("the setting is invalid")
}

#[track_caller]
fn assert_names(error: &ConfigError, setting: &str, value: &str, allowed: &str) {
    let text = error.to_string();
    assert_eq!(error.setting(), setting);
    for part in [setting, value, allowed, error.value(), error.allowed()] {
        assert!(text.contains(part), "`{text}` does not name `{part}`");
    }
}

#[test]
fn counts_of_zero_are_invalid() {
    let at_least = "at least 1";
    assert_names(&error(|b| b.consecutive_failures(0)), "consecutive_failures", "0", at_least);
    assert_names(&error(|b| b.minimum_calls(0)), "minimum_calls", "0", at_least);
    let half_open = error(|b| b.half_open(HalfOpen::consecutive_successes(0)));
    assert_names(&half_open, "half_open", "0", at_least);
    let half_open = error(|b| b.half_open(HalfOpen::sample(0)));
    assert_names(&half_open, "half_open", "0", at_least);
    let window = error(|b| b.sliding_window(SlidingWindow::count(0)));
    assert_names(&window, "sliding_window", "0 calls", at_least);
    let window = error(|b| b.sliding_window(SlidingWindow::time(SECOND).buckets(0)));
    assert_names(&window, "sliding_window", "0 buckets", at_least);
}

#[test]
fn durations_of_zero_are_invalid() {
    let longer = "longer than zero";
    let zero = Duration::ZERO;
    let slow = error(|b| b.slow_call_duration_threshold(zero));
    assert_names(&slow, "slow_call_duration_threshold", "0ns", longer);
    assert_names(&error(|b| b.probe_timeout(zero)), "probe_timeout", "0ns", longer);
    assert_names(&error(|b| b.abandoned_after(zero)), "abandoned_after", "0ns", longer);
    assert_names(&error(|b| b.open_duration(zero)), "open_duration", "0ns", longer);
    let window = error(|b| b.sliding_window(SlidingWindow::time(zero)));
    assert_names(&window, "sliding_window", "0ns", longer);
}

#[test]
fn rates_that_are_not_between_zero_and_one_are_invalid() {
    let rates = [0.0, -0.0, -0.1, 1.000_000_1, 50.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for rate in rates {
        let allowed = "greater than 0 and at most 1";
        let failure = error(|b| b.failure_rate_threshold(rate));
        assert_names(&failure, "failure_rate_threshold", &rate.to_string(), allowed);
        let slow = error(|b| b.slow_call_rate_threshold(rate).slow_call_duration_threshold(SECOND));
        assert_names(&slow, "slow_call_rate_threshold", &rate.to_string(), allowed);
    }
}

#[test]
fn a_slow_call_rate_needs_a_slow_call_duration() {
    let error = error(|b| b.slow_call_rate_threshold(0.5));
    assert_names(&error, "slow_call_rate_threshold", "0.5", "slow_call_duration_threshold");
}

#[test]
fn a_sample_needs_a_rate_rule() {
    let error = error(|b| b.consecutive_failures(3).half_open(HalfOpen::sample(7)));
    assert_names(&error, "half_open", "7", "failure_rate_threshold");
    let defaults =
        CircuitBreaker::builder("the defaults have a rate rule").half_open(HalfOpen::sample(7));
    defaults.build().unwrap();
}

#[test]
fn buckets_are_for_time_windows_only() {
    let error = error(|b| b.sliding_window(SlidingWindow::count(5).buckets(3)));
    assert_names(&error, "sliding_window", "3 buckets", "time windows only");
}

#[test]
fn a_backoff_that_shrinks_or_is_zero_is_invalid() {
    let backoff = |backoff: Backoff| error(|b| b.open_duration(backoff));
    let setting = "open_duration";
    let shrinking = backoff(Backoff::exponential(2 * SECOND, SECOND));
    assert_names(&shrinking, setting, "1s", "not shorter than the initial");
    let zero = backoff(Backoff::exponential(Duration::ZERO, SECOND));
    assert_names(&zero, setting, "0ns", "longer than zero");
    for factor in [0.999, 0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = backoff(Backoff::exponential(SECOND, 2 * SECOND).factor(factor));
        assert_names(&error, setting, &factor.to_string(), "at least 1");
    }
    for jitter in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = backoff(Backoff::constant(SECOND).jitter(jitter));
        assert_names(&error, setting, &jitter.to_string(), "0.0 to 1.0");
    }
}

#[test]
fn the_limits_of_each_range_are_valid() {
    let least = Duration::from_nanos(1);
    CircuitBreaker::builder("least")
        .consecutive_failures(1)
        .failure_rate_threshold(f64::MIN_POSITIVE)
        .slow_call_duration_threshold(least)
        .slow_call_rate_threshold(1.0)
        .sliding_window(SlidingWindow::time(least).buckets(1))
        .minimum_calls(1)
        .open_duration(Backoff::exponential(least, least).factor(1.0).jitter(1.0))
        .half_open(HalfOpen::sample(1))
        .probe_timeout(least)
        .abandoned_after(least)
        .build()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_overflows_at_the_largest_settings() {
    let windows = [
        SlidingWindow::count(u32::MAX),
        SlidingWindow::time(Duration::MAX).buckets(u32::MAX),
        SlidingWindow::time(Duration::MAX).buckets(1),
        SlidingWindow::time(Duration::from_nanos(1)).buckets(u32::MAX),
    ];
    for window in windows {
        for rule in [HalfOpen::sample(u32::MAX), HalfOpen::consecutive_successes(u32::MAX)] {
            let breaker = CircuitBreaker::builder("largest")
                .consecutive_failures(u32::MAX)
                .failure_rate_threshold(1.0)
                .slow_call_duration_threshold(Duration::MAX)
                .slow_call_rate_threshold(1.0)
                .sliding_window(window)
                .minimum_calls(u32::MAX)
                .open_duration(
                    Backoff::exponential(SECOND, Duration::MAX).factor(f64::MAX).jitter(1.0),
                )
                .half_open(rule)
                .probe_timeout(Duration::MAX)
                .abandoned_after(Duration::MAX)
                .build()
                .unwrap();
            for _ in 0..3 {
                let [success, failure, dropped] = [(); 3].map(|()| permit(&breaker));
                advance(10 * YEAR).await;
                success.success();
                failure.failure();
                drop(dropped);
                breaker.trip();
                let _ = breaker.snapshot();
                let _ = breaker.try_acquire();
                breaker.force_open();
                breaker.resume();
                let probe = permit(&breaker);
                advance(10 * YEAR).await;
                probe.success();
                breaker.reset();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn extreme_settings_neither_panic_nor_overflow_in_a_service_over_centuries() {
    let longest = Duration::MAX;
    let failing = service_fn(|()| async { Err::<(), _>("down") });
    let base = || {
        CircuitBreaker::builder("extreme")
            .consecutive_failures(u32::MAX)
            .failure_rate_threshold(1.0)
            .slow_call_rate_threshold(f64::MIN_POSITIVE)
            .slow_call_duration_threshold(longest)
            .minimum_calls(u32::MAX)
            .probe_timeout(longest)
            .abandoned_after(longest)
    };
    let steepest = Backoff::exponential(Duration::from_nanos(1), longest).factor(f64::MAX);
    let breakers = [
        base().open_duration(longest).sliding_window(SlidingWindow::count(u32::MAX)),
        base().sliding_window(SlidingWindow::time(longest)).half_open(HalfOpen::sample(u32::MAX)),
        base()
            .sliding_window(SlidingWindow::time(longest).buckets(u32::MAX))
            .half_open(HalfOpen::consecutive_successes(u32::MAX))
            .open_duration(steepest.jitter(1.0)),
        base()
            .sliding_window(SlidingWindow::time(Duration::from_nanos(1)).buckets(u32::MAX))
            .open_duration(Backoff::constant(longest).jitter(1.0)),
    ];
    for builder in breakers {
        let breaker = builder.build().unwrap();
        let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(failing);
        let patient = CircuitBreakerLayer::new(breaker.clone()).backpressure().layer(failing);
        for _ in 0..4 {
            let in_flight = breaker.try_acquire();
            let _ = service.ready().await.unwrap().call(()).await;
            advance(YEAR).await;
            drop(in_flight);
            breaker.trip();
            let _ = service.ready().await.unwrap().call(()).await;
            let _ = timeout(YEAR, patient.clone().oneshot(())).await;
            let _ = timeout(YEAR, breaker.acquire()).await;
            let _ = format!("{breaker:?} {:?}", breaker.snapshot().retry_after());
            advance(100 * YEAR).await;
            if let Err(rejected) = breaker.try_acquire() {
                assert!(!rejected.to_string().is_empty());
            }
        }
        breaker.reset();
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_never_elapses() {
    let breaker = CircuitBreaker::builder("longest").open_duration(Duration::MAX).build().unwrap();
    breaker.trip();
    let failing = service_fn(|()| async { Err::<(), _>("down") });
    let patient = CircuitBreakerLayer::new(breaker.clone()).backpressure().layer(failing);

    assert!(timeout(YEAR, patient.oneshot(())).await.is_err());
    advance(100 * YEAR).await;
    assert!(breaker.try_acquire().unwrap_err().retry_after().unwrap() > 100 * YEAR);
}
