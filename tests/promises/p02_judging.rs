//! Point 2: what is counted, when it is judged, and what a snapshot shows.

use std::task::{Context, Waker};

use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, HalfOpen, SlidingWindow, State};

use crate::{MS, SECOND, advance, permit, until_half_open};

fn rate(threshold: f64) -> CircuitBreakerBuilder {
    CircuitBreaker::builder("rate").failure_rate_threshold(threshold)
}

#[tokio::test(start_paused = true)]
async fn a_rate_equal_to_the_threshold_trips_the_circuit() {
    let breaker = rate(0.3).sliding_window(SlidingWindow::count(10)).build().unwrap();
    (0..7).for_each(|_| permit(&breaker).success());
    (0..2).for_each(|_| permit(&breaker).failure());
    assert_eq!(breaker.state(), State::Closed);
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_success_that_reaches_the_minimum_of_calls_can_trip_the_circuit() {
    let breaker = rate(0.5).minimum_calls(4).build().unwrap();
    (0..3).for_each(|_| permit(&breaker).failure());
    assert_eq!(breaker.state(), State::Closed);
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_success_can_trip_the_circuit_after_older_successes_have_left_the_window() {
    let window = SlidingWindow::time(10 * SECOND).buckets(10);
    let breaker = rate(0.5).sliding_window(window).minimum_calls(4).build().unwrap();
    (0..10).for_each(|_| permit(&breaker).success());
    advance(5 * SECOND).await;
    (0..4).for_each(|_| permit(&breaker).failure());
    assert_eq!(breaker.state(), State::Closed, "4 of 14");
    advance(5 * SECOND).await;
    assert_eq!(breaker.snapshot().failure_rate(), Some(1.0), "the successes have left the window");
    assert_eq!(breaker.state(), State::Closed, "expiry alone never trips the circuit");
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Open, "4 of 5");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_counted_in_the_bucket_in_which_it_completes() {
    let window = SlidingWindow::time(10 * SECOND).buckets(10);
    let breaker = rate(1.0).sliding_window(window).build().unwrap();
    let long = permit(&breaker);
    advance(60 * SECOND).await;
    long.success();
    assert_eq!(breaker.snapshot().calls(), 1);
    advance(10 * SECOND - MS).await;
    assert_eq!(breaker.snapshot().calls(), 1);
    advance(MS).await;
    assert_eq!(breaker.snapshot().calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_count_window_drops_the_oldest_call_even_after_ten_thousand_successes() {
    let breaker = rate(1.0).sliding_window(SlidingWindow::count(100)).build().unwrap();
    (0..10_000).for_each(|_| permit(&breaker).success());
    (0..99).for_each(|_| permit(&breaker).failure());
    assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (100, 99));
    assert_eq!(breaker.state(), State::Closed);
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Open, "a hundred failures fill a window of a hundred");
}

#[tokio::test(start_paused = true)]
async fn minimum_calls_is_at_most_the_size_of_a_count_window() {
    let window = SlidingWindow::count(3);
    let breaker = rate(1.0).sliding_window(window).minimum_calls(1000).build().unwrap();
    (0..2).for_each(|_| permit(&breaker).failure());
    assert_eq!(breaker.snapshot().failure_rate(), None);
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn the_buckets_of_a_time_window_start_at_creation_and_their_length_is_rounded_up() {
    advance(777 * MS).await;
    // A bucket lasts 3.33... ms, rounded up to whole nanoseconds.
    let window = SlidingWindow::time(10 * MS).buckets(3);
    let breaker = rate(1.0).sliding_window(window).build().unwrap();
    permit(&breaker).success();
    advance(std::time::Duration::from_nanos(3 * 3_333_334 - 1)).await;
    assert_eq!(breaker.snapshot().calls(), 1);
    advance(std::time::Duration::from_nanos(1)).await;
    assert_eq!(breaker.snapshot().calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_slow_from_the_threshold_on_and_a_slow_failure_counts_as_both() {
    let breaker = rate(1.0)
        .slow_call_duration_threshold(SECOND)
        .slow_call_rate_threshold(1.0)
        .sliding_window(SlidingWindow::count(10))
        .build()
        .unwrap();
    let [quick, slow, failed] = [permit(&breaker), permit(&breaker), permit(&breaker)];
    advance(SECOND - MS).await;
    quick.success();
    assert_eq!(breaker.snapshot().slow_calls(), 0);
    advance(MS).await;
    slow.success();
    failed.failure();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls(), snapshot.failures(), snapshot.slow_calls()), (3, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn slow_successes_trip_the_circuit_although_nothing_fails() {
    let breaker = CircuitBreaker::builder("slow")
        .slow_call_duration_threshold(SECOND)
        .slow_call_rate_threshold(0.5)
        .minimum_calls(4)
        .build()
        .unwrap();
    (0..2).for_each(|_| permit(&breaker).success());
    let slow = [permit(&breaker), permit(&breaker)];
    advance(SECOND).await;
    for call in slow {
        assert_eq!(breaker.state(), State::Closed);
        call.success();
    }
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_counts_the_window_while_closed_what_tripped_it_while_open_and_then_the_probes()
{
    let breaker = rate(0.5)
        .minimum_calls(4)
        .open_duration(SECOND)
        .half_open(HalfOpen::sample(4))
        .build()
        .unwrap();
    let counts = || {
        let snapshot = breaker.snapshot();
        (snapshot.calls(), snapshot.failures(), snapshot.consecutive_failures())
    };
    permit(&breaker).success();
    assert_eq!(counts(), (1, 0, 0));
    assert_eq!(breaker.snapshot().failure_rate(), None, "too few calls to judge");
    (0..3).for_each(|_| permit(&breaker).failure());
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(counts(), (4, 3, 3), "these calls tripped the circuit");
    assert_eq!(breaker.snapshot().failure_rate(), Some(0.75));
    advance(60 * SECOND).await;
    assert_eq!(counts(), (4, 3, 3), "however long ago that was");
    let probe = permit(&breaker);
    assert_eq!(counts(), (0, 0, 0), "a half-open period starts with empty counts");
    probe.failure();
    assert_eq!(counts(), (1, 1, 1));
    (0..3).for_each(|_| permit(&breaker).success());
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(counts(), (0, 0, 0), "a closed period starts with empty counts");
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_rule_only_consecutive_failures_are_counted() {
    let breaker = CircuitBreaker::builder("streak").consecutive_failures(3).build().unwrap();
    (0..2).for_each(|_| permit(&breaker).failure());
    assert_eq!(breaker.snapshot().calls(), 0);
    assert_eq!(breaker.snapshot().failure_rate(), None);
    assert_eq!(breaker.snapshot().consecutive_failures(), 2);
    permit(&breaker).ignore();
    assert_eq!(
        breaker.snapshot().consecutive_failures(),
        2,
        "an ignored call does not end the streak"
    );
    permit(&breaker).success();
    assert_eq!(breaker.snapshot().consecutive_failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn reading_never_changes_the_state() {
    let breaker = CircuitBreaker::new("read");
    until_half_open(&breaker).await;
    advance(1000 * SECOND).await;
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().state(), State::Open);
    assert_eq!(breaker.snapshot().retry_after(), Some(std::time::Duration::ZERO));
    let _probe = permit(&breaker);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_not_counted_before_it_ends() {
    let breaker = rate(1.0).minimum_calls(9).build().unwrap();
    let mut call = Box::pin(breaker.call(async {
        tokio::time::sleep(SECOND).await;
        Err::<(), _>("late")
    }));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(breaker.snapshot().calls(), 0);
    call.await.unwrap_err();
    assert_eq!(breaker.snapshot().failures(), 1);
}
