//! `suspect`: a circuit that has been told of trouble believes its own eyes sooner.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_breaker::{
    Cause, CircuitBreaker, CircuitBreakerBuilder, EventKind, HalfOpen, OperatorAction,
    SlidingWindow, State, TripRule,
};

use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

fn by_streak(limit: u32) -> CircuitBreaker {
    sensitive().consecutive_failures(limit).build().unwrap()
}

/// By rate alone.
fn by_rate(window: SlidingWindow, minimum: u32) -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test")
        .failure_rate_threshold(0.5)
        .sliding_window(window)
        .minimum_calls(minimum)
}

fn failures_until_open(breaker: &CircuitBreaker) -> u32 {
    (1..=100)
        .find(|_| {
            permit(breaker).failure();
            breaker.state() == State::Open
        })
        .expect("the circuit opens")
}

#[tokio::test(start_paused = true)]
async fn a_suspected_circuit_opens_after_half_of_the_consecutive_failures_rounded_up() {
    for (limit, half) in [(1, 1), (2, 1), (3, 2), (5, 3), (6, 3)] {
        let breaker = by_streak(limit);
        breaker.suspect(SECOND);
        assert_eq!(failures_until_open(&breaker), half, "of {limit}");
        assert!(matches!(breaker.snapshot().cause(), Some(Cause::ConsecutiveFailures { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspected_circuit_judges_rates_from_a_quarter_of_the_minimum_calls_on_rounded_up() {
    for window in [SlidingWindow::count(100), SlidingWindow::time(30 * SECOND)] {
        for (minimum, quarter) in [(1, 1), (4, 1), (5, 2), (20, 5), (21, 6)] {
            let breaker = by_rate(window, minimum).build().unwrap();
            breaker.suspect(SECOND);
            assert_eq!(failures_until_open(&breaker), quarter, "of {minimum}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_count_window_that_is_smaller_than_the_minimum_it_is_a_quarter_of_the_window() {
    let breaker = by_rate(SlidingWindow::count(8), 20).build().unwrap();
    breaker.suspect(SECOND);
    assert_eq!(failures_until_open(&breaker), 2);
}

#[tokio::test(start_paused = true)]
async fn hearsay_opens_no_circuit_by_itself_and_the_next_result_is_judged_by_all_that_was_counted()
{
    let breaker = by_streak(5);
    (0..4).for_each(|_| permit(&breaker).failure());
    breaker.suspect(SECOND);
    assert_eq!(breaker.state(), State::Closed);
    permit(&breaker).ignore();
    assert_eq!(breaker.state(), State::Closed);
    permit(&breaker).failure();
    assert_eq!(breaker.snapshot().cause(), Some(Cause::ConsecutiveFailures { failures: 5 }));
}

#[tokio::test(start_paused = true)]
async fn a_healthy_circuit_stays_closed_while_it_is_suspected() {
    let breaker = by_rate(SlidingWindow::count(100), 20).consecutive_failures(5).build().unwrap();
    breaker.suspect(SECOND);
    for _ in 0..100 {
        permit(&breaker).success();
        breaker.suspect(SECOND);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn suspicion_ends_by_time_also_for_results_that_are_settled_without_the_lock() {
    // A time window of few failures counts successes without the lock, one of many logs all results.
    for failures_before in [0, 8] {
        let window = SlidingWindow::time(1000 * SECOND);
        let breaker = by_rate(window, 80).build().unwrap();
        (0..failures_before).for_each(|_| permit(&breaker).failure());
        breaker.suspect(SECOND);
        (0..8).for_each(|_| permit(&breaker).success());
        advance(SECOND - MS).await;
        assert_eq!(breaker.snapshot().suspected_for(), Some(MS));
        advance(MS).await;
        assert_eq!(breaker.snapshot().suspected_for(), None);
        // As many as the stricter rule would need, and more than half of them failures.
        (0..10).for_each(|_| permit(&breaker).failure());
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_has_to_look_for_suspicion_to_end_in_time() {
    let breaker = by_streak(4);
    breaker.suspect(SECOND);
    permit(&breaker).failure();
    advance(SECOND).await;
    permit(&breaker).failure();
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Closed);
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_later_call_extends_suspicion_and_never_shortens_it_and_zero_does_nothing() {
    let breaker = by_streak(4);
    breaker.suspect(Duration::ZERO);
    assert_eq!(breaker.snapshot().suspected_for(), None);
    breaker.suspect(10 * SECOND);
    breaker.suspect(SECOND);
    assert_eq!(breaker.snapshot().suspected_for(), Some(10 * SECOND));
    advance(8 * SECOND).await;
    breaker.suspect(5 * SECOND);
    assert_eq!(breaker.snapshot().suspected_for(), Some(5 * SECOND));
    breaker.suspect(Duration::MAX);
    advance(1000 * SECOND).await;
    assert!(breaker.snapshot().suspected_for().unwrap() > 100 * 365 * 24 * 3600 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn suspicion_ends_by_reset_and_when_the_circuit_closes() {
    let breaker = by_streak(4);
    breaker.suspect(100 * SECOND);
    breaker.reset();
    assert_eq!(breaker.snapshot().suspected_for(), None);

    breaker.force_open();
    breaker.suspect(100 * SECOND);
    breaker.reset();
    assert_eq!(breaker.snapshot().suspected_for(), None);
    breaker.resume();
    breaker.reset();

    breaker.suspect(100 * SECOND);
    until_half_open(&breaker).await;
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().suspected_for(), None);
    assert_eq!(failures_until_open(&breaker), 4);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_recovers_is_suspected_until_it_has_closed() {
    let half_open = HalfOpen::consecutive_successes(1).ramp(10 * SECOND);
    let breaker = sensitive().consecutive_failures(4).half_open(half_open).build().unwrap();
    breaker.suspect(100 * SECOND);
    until_half_open(&breaker).await;
    permit(&breaker).success();
    advance(9 * SECOND).await;
    permit(&breaker).success();
    assert!(breaker.snapshot().suspected_for().is_some());
    advance(SECOND).await;
    permit(&breaker).success();
    assert_eq!((breaker.state(), breaker.snapshot().suspected_for()), (State::Closed, None));
}

#[tokio::test(start_paused = true)]
async fn probes_are_judged_as_ever() {
    let breaker =
        sensitive().failure_rate_threshold(0.5).half_open(HalfOpen::sample(4)).build().unwrap();
    until_half_open(&breaker).await;
    breaker.suspect(SECOND);
    let probes = [(); 4].map(|()| permit(&breaker));
    for (n, probe) in probes.into_iter().enumerate() {
        assert_eq!(breaker.state(), State::HalfOpen);
        if n == 0 { probe.failure() } else { probe.success() }
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn settings_that_change_meanwhile_are_judged_as_strictly_and_kept_when_it_ends() {
    let settings = || sensitive().consecutive_failures(4);
    let breaker = settings().build().unwrap();
    breaker.suspect(SECOND);
    assert_eq!(breaker.reconfigure(settings()).unwrap().to_string(), "unchanged");
    breaker.set_enforcement(0.5).unwrap();
    breaker.reconfigure(settings().consecutive_failures(10)).unwrap();
    assert_eq!(breaker.snapshot().enforcement(), 0.5);
    let limit = |breaker: &CircuitBreaker| match breaker.snapshot().trip_rules().next() {
        Some(TripRule::ConsecutiveFailures { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(&breaker), 5);
    advance(SECOND).await;
    assert_eq!(limit(&breaker), 10);
    assert_eq!(breaker.snapshot().enforcement(), 0.5);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_forced_closed_trips_on_nothing_while_it_is_suspected() {
    let breaker = by_streak(4);
    breaker.force_closed_for(2 * SECOND);
    breaker.suspect(3 * SECOND);
    (0..10).for_each(|_| permit(&breaker).failure());
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
    advance(2 * SECOND).await;
    assert_eq!(breaker.snapshot().suspected_for(), Some(SECOND));
    assert_eq!(failures_until_open(&breaker), 2);
}

#[tokio::test(start_paused = true)]
async fn suspicion_is_an_operators_action_and_the_snapshot_says_it() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let events = log.clone();
    let breaker = sensitive()
        .consecutive_failures(4)
        .on_event(move |event| {
            if let EventKind::OperatorAction(action) = event.kind() {
                events.lock().unwrap().push((action, event.to_string()));
            }
        })
        .build()
        .unwrap();
    breaker.suspect(30 * SECOND);
    let action = OperatorAction::Suspect { duration: 30 * SECOND };
    assert_eq!(*log.lock().unwrap(), [(action, "test: suspect(30s)".to_owned())]);
    advance(5 * SECOND).await;
    permit(&breaker).failure();
    assert_eq!(
        breaker.snapshot().to_string(),
        "closed for 5.0s, suspected for another 25.0s: 1 of 2 failures in a row"
    );
}
