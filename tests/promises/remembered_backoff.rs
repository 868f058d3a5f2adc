//! A backoff that forgets earlier attempts slowly.

use std::time::Duration;

use tower_breaker::{Backoff, CircuitBreaker};

use crate::{SECOND, advance, permit, sensitive};

const MINUTE: Duration = Duration::from_secs(60);

fn growing() -> Backoff {
    Backoff::exponential(SECOND, 8 * SECOND).jitter(0.0)
}

fn breaker() -> CircuitBreaker {
    sensitive().open_duration(growing().forget_after(MINUTE)).build().unwrap()
}

/// Trips the circuit, lets it recover, and returns how long it was open and which attempt that was.
async fn outage(breaker: &CircuitBreaker) -> (Duration, u32) {
    permit(breaker).failure();
    let (wait, attempt) = opened(breaker);
    advance(wait).await;
    permit(breaker).success();
    (wait, attempt)
}

fn opened(breaker: &CircuitBreaker) -> (Duration, u32) {
    let history = breaker.history();
    let last = history.last().unwrap();
    (last.open_duration().unwrap(), last.attempt().unwrap())
}

#[tokio::test(start_paused = true)]
async fn by_default_the_attempts_are_forgotten_as_soon_as_the_circuit_closes() {
    let breaker = sensitive().open_duration(growing()).build().unwrap();
    for _ in 0..3 {
        assert_eq!(outage(&breaker).await, (SECOND, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_flaps_is_met_with_growing_waits() {
    let breaker = breaker();
    for (wait, attempt) in [(1, 1), (2, 2), (4, 3), (8, 4), (8, 5)] {
        assert_eq!(outage(&breaker).await, (wait * SECOND, attempt));
        advance(MINUTE - SECOND / 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_full_period_that_the_circuit_is_closed_takes_one_attempt() {
    for (closed, wait) in [(0, 8), (1, 4), (2, 2), (3, 1), (4, 1), (1000, 1)] {
        let breaker = breaker();
        for _ in 0..3 {
            outage(&breaker).await;
        }
        advance(closed * MINUTE).await;
        assert_eq!(outage(&breaker).await.0, wait * SECOND, "closed for {closed} minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_is_not_remembered_for_longer_than_its_wait_says() {
    let breaker = breaker();
    for _ in 0..100 {
        outage(&breaker).await;
    }
    advance(MINUTE).await;
    // The fourth attempt is the first with the longest wait. One less is the third.
    assert_eq!(outage(&breaker).await, (8 * SECOND, 4));
    advance(4 * MINUTE).await;
    assert_eq!(outage(&breaker).await, (SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn reset_forgets_all_attempts() {
    let breaker = breaker();
    outage(&breaker).await;
    outage(&breaker).await;
    breaker.reset();
    assert_eq!(outage(&breaker).await, (SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn time_for_which_an_operator_holds_the_circuit_closed_does_not_count() {
    let breaker = breaker();
    outage(&breaker).await;
    outage(&breaker).await;
    advance(MINUTE / 2).await;
    breaker.force_closed();
    breaker.force_closed();
    advance(100 * MINUTE).await;
    breaker.resume();
    advance(MINUTE / 2 - SECOND).await;
    permit(&breaker).failure();
    assert_eq!(opened(&breaker), (4 * SECOND, 3));

    breaker.force_closed();
    advance(100 * MINUTE).await;
    breaker.resume();
    advance(MINUTE).await;
    permit(&breaker).failure();
    assert_eq!(opened(&breaker), (4 * SECOND, 3));
}

#[tokio::test(start_paused = true)]
async fn the_time_before_the_circuit_is_forced_open_counts() {
    let breaker = breaker();
    outage(&breaker).await;
    outage(&breaker).await;
    advance(2 * MINUTE).await;
    breaker.force_open();
    breaker.resume();
    permit(&breaker).success();
    assert_eq!(outage(&breaker).await, (SECOND, 1));
}
