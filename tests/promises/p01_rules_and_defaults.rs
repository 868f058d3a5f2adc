//! Point 1: a rule is on if its setter was called, and any rule that holds trips the circuit.

use tower_breaker::{CircuitBreaker, SlidingWindow, State};

use crate::{MS, SECOND, advance, permit};

fn fail(breaker: &CircuitBreaker, times: u32) {
    (0..times).for_each(|_| permit(breaker).failure());
}

fn succeed(breaker: &CircuitBreaker, times: u32) {
    (0..times).for_each(|_| permit(breaker).success());
}

#[tokio::test(start_paused = true)]
async fn by_default_five_consecutive_failures_trip_the_circuit() {
    let breaker = CircuitBreaker::new("defaults");
    fail(&breaker, 4);
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn by_default_ten_failures_of_twenty_calls_within_thirty_seconds_trip_the_circuit() {
    let breaker = CircuitBreaker::new("defaults");
    for _ in 0..3 {
        fail(&breaker, 3);
        succeed(&breaker, 1);
    }
    succeed(&breaker, 6);
    assert_eq!(breaker.snapshot().calls(), 18);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Closed, "19 calls are too few to judge");
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), State::Open, "10 of 20 failed, though the last one succeeded");
}

#[tokio::test(start_paused = true)]
async fn by_default_calls_that_are_thirty_seconds_old_no_longer_count() {
    let breaker = CircuitBreaker::new("defaults");
    fail(&breaker, 4);
    succeed(&breaker, 4);
    advance(27 * SECOND).await;
    assert_eq!(breaker.snapshot().calls(), 8);
    advance(3 * SECOND).await;
    assert_eq!(breaker.snapshot().calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn by_default_the_wait_is_five_seconds_doubling_to_sixty_with_a_tenth_of_jitter() {
    let breaker = CircuitBreaker::new("defaults");
    for seconds in [5.0, 10.0, 20.0, 40.0, 60.0, 60.0] {
        fail(&breaker, if seconds == 5.0 { 5 } else { 1 });
        let wait = breaker.snapshot().retry_after().unwrap();
        let ratio = wait.as_secs_f64() / seconds;
        assert!((0.9..=1.1).contains(&ratio), "{wait:?} instead of about {seconds} s");
        advance(wait).await;
    }
}

#[tokio::test(start_paused = true)]
async fn by_default_three_successful_probes_close_the_circuit() {
    let breaker = CircuitBreaker::new("defaults");
    crate::until_half_open(&breaker).await;
    succeed(&breaker, 2);
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn by_default_a_probe_times_out_after_thirty_seconds() {
    let breaker = CircuitBreaker::new("defaults");
    crate::until_half_open(&breaker).await;
    let _probe = permit(&breaker);
    advance(30 * SECOND - MS).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    advance(MS).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn setting_one_rule_switches_the_default_rules_off() {
    let by_rate = CircuitBreaker::builder("rate").failure_rate_threshold(1.0).build().unwrap();
    fail(&by_rate, 19);
    assert_eq!(by_rate.state(), State::Closed, "there is no rule for consecutive failures");

    let by_streak = CircuitBreaker::builder("streak").consecutive_failures(100).build().unwrap();
    fail(&by_streak, 99);
    assert_eq!(by_streak.state(), State::Closed, "there is no rule for the rate");
    assert_eq!(by_streak.snapshot().calls(), 0, "so no window is kept");

    let by_slowness = CircuitBreaker::builder("slow")
        .slow_call_rate_threshold(0.5)
        .slow_call_duration_threshold(SECOND)
        .build()
        .unwrap();
    fail(&by_slowness, 1000);
    assert_eq!(by_slowness.state(), State::Closed, "there is no rule for failures");
}

#[tokio::test(start_paused = true)]
async fn any_rule_that_holds_trips_the_circuit() {
    let all = CircuitBreaker::builder("all")
        .consecutive_failures(4)
        .failure_rate_threshold(0.5)
        .slow_call_rate_threshold(0.5)
        .slow_call_duration_threshold(SECOND)
        .sliding_window(SlidingWindow::count(10))
        .minimum_calls(6);

    let by_streak = all.clone().build().unwrap();
    fail(&by_streak, 4);
    assert_eq!(by_streak.state(), State::Open);

    let by_rate = all.clone().build().unwrap();
    for _ in 0..3 {
        succeed(&by_rate, 1);
        assert_eq!(by_rate.state(), State::Closed);
        fail(&by_rate, 1);
    }
    assert_eq!(by_rate.state(), State::Open);

    let by_slowness = all.build().unwrap();
    for _ in 0..3 {
        succeed(&by_slowness, 1);
        assert_eq!(by_slowness.state(), State::Closed);
        let slow = permit(&by_slowness);
        advance(SECOND).await;
        slow.success();
    }
    assert_eq!(by_slowness.state(), State::Open);
}
