//! When checks run, and how the circuit recovers by them.

use tokio::time::{Instant, sleep};
use tokio_test::task;
use tower_breaker::{Backoff, Cause, EventKind, HalfOpen, State};

use crate::{Checks, SECOND, YEAR, advance, permit, sensitive};

#[tokio::test(start_paused = true)]
async fn a_circuit_that_nobody_calls_recovers_when_its_wait_is_over() {
    let breaker = sensitive().build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.succeed_after(SECOND)));
    breaker.trip();
    sleep(SECOND / 2).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Open, 0));
    sleep(SECOND).await;
    assert_eq!((breaker.state(), checks.running()), (State::HalfOpen, 1));
    sleep(SECOND).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 1));
    assert_eq!(breaker.snapshot().cause(), Some(Cause::ProbesSucceeded));
}

#[tokio::test(start_paused = true)]
async fn it_recovers_again_and_again() {
    let breaker = sensitive().build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.answer(Ok(()))));
    for outages in 1..4 {
        permit(&breaker).failure();
        sleep(2 * SECOND).await;
        assert_eq!((breaker.state(), checks.begun()), (State::Closed, outages));
        sleep(YEAR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_open_already_is_checked_as_well() {
    let breaker = sensitive().build().unwrap();
    breaker.trip();
    sleep(YEAR).await;
    tokio::spawn(breaker.probe_with(Checks::default().answer(Ok(()))));
    sleep(SECOND / 1000).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn as_many_checks_run_as_the_half_open_rule_needs_probes() {
    for (half_open, expected) in [(HalfOpen::consecutive_successes(3), 3), (HalfOpen::sample(5), 5)]
    {
        let builder = sensitive().failure_rate_threshold(0.5).half_open(half_open);
        let breaker = builder.build().unwrap();
        let checks = Checks::default();
        tokio::spawn(breaker.probe_with(checks.succeed_after(SECOND)));
        breaker.trip();
        sleep(20 * SECOND).await;
        assert_eq!((breaker.state(), checks.begun()), (State::Closed, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_circuit_is_closed_nothing_wakes_it_and_no_check_runs() {
    let breaker = sensitive().consecutive_failures(2).build().unwrap();
    let checks = Checks::default();
    let mut future = task::spawn(breaker.probe_with(checks.answer(Ok(()))));
    assert!(future.poll().is_pending());
    for _ in 0..100 {
        permit(&breaker).success();
        permit(&breaker).failure();
        drop(permit(&breaker));
    }
    advance(YEAR).await;
    assert!(!future.is_woken());

    // Nor does a timer that is left of an outage.
    breaker.trip();
    assert!(future.is_woken() && future.poll().is_pending());
    breaker.reset();
    assert!(future.is_woken() && future.poll().is_pending());
    advance(YEAR).await;
    assert!(!future.is_woken());
    assert_eq!(checks.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_an_operator_forces_the_circuit_open_no_check_runs() {
    let breaker = sensitive().build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.answer(Ok(()))));
    breaker.trip();
    breaker.force_open();
    sleep(YEAR).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Open, 0));
    breaker.resume();
    sleep(SECOND / 1000).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_forced_open_for_a_time_is_checked_when_that_is_over() {
    let breaker = sensitive().build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.answer(Ok(()))));
    breaker.force_open_for(60 * SECOND);
    sleep(60 * SECOND - SECOND / 100).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Open, 0));
    sleep(SECOND / 50).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn while_an_operator_forces_the_circuit_open_nothing_wakes_it() {
    let breaker = sensitive().build().unwrap();
    breaker.trip();
    breaker.force_open();
    let mut future = task::spawn(breaker.probe_with(Checks::default().hang()));
    assert!(future.poll().is_pending());
    advance(YEAR).await;
    assert!(!future.is_woken());
}

#[tokio::test(start_paused = true)]
async fn while_an_operator_forces_the_circuit_closed_no_check_runs() {
    let breaker = sensitive().build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.answer(Ok(()))));
    breaker.force_closed();
    permit(&breaker).failure();
    sleep(YEAR).await;
    assert_eq!(checks.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn failed_checks_are_as_far_apart_as_the_backoff_says() {
    let backoff = Backoff::exponential(SECOND, 8 * SECOND).jitter(0.0);
    let breaker = sensitive().open_duration(backoff).build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.answer(Err("down"))));
    breaker.trip();
    let start = Instant::now();
    for (checked, wait) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8)] {
        sleep(wait * SECOND).await;
        tokio::task::yield_now().await; // its timer may be behind that of this test
        assert_eq!(checks.begun(), checked, "after {:?}", start.elapsed());
    }
    assert_eq!(breaker.snapshot().cause(), Some(Cause::ProbeFailed));
}

#[tokio::test(start_paused = true)]
async fn in_shadow_mode_a_check_is_a_probe_and_closes_the_circuit() {
    let breaker = sensitive().enforcement(0.0).build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.answer(Ok(()))));
    permit(&breaker).failure();
    assert!(permit(&breaker).is_shadow());
    sleep(SECOND / 2).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Open, 0));
    sleep(SECOND).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn a_ramp_ends_without_a_call_and_without_checks_that_take_from_the_share_of_calls() {
    let ramp = HalfOpen::consecutive_successes(1).ramp(30 * SECOND);
    let breaker = sensitive().half_open(ramp).build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.answer(Ok(()))));
    breaker.trip();
    sleep(SECOND + SECOND / 1000).await;
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state(), checks.begun()), (State::HalfOpen, 1));
    sleep(15 * SECOND).await;
    let admitted = (0..100).filter_map(|_| breaker.try_acquire().ok());
    assert_eq!(admitted.map(|permit| permit.success()).count(), 1 + 50);
    sleep(14 * SECOND).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    sleep(SECOND).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 1));
    assert_eq!(breaker.snapshot().cause(), Some(Cause::RampCompleted));
}

#[tokio::test(start_paused = true)]
async fn a_trip_in_the_ramp_is_checked_again() {
    let ramp = HalfOpen::consecutive_successes(1).ramp(30 * SECOND);
    let breaker = sensitive().half_open(ramp).build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.answer(Ok(()))));
    breaker.trip();
    sleep(2 * SECOND).await;
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Open);
    sleep(2 * SECOND).await;
    assert_eq!((breaker.state(), checks.begun()), (State::HalfOpen, 2));
}

#[tokio::test(start_paused = true)]
async fn listeners_see_checks_as_probes() {
    let (told, events) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let builder = sensitive().on_event(move |event| {
        let is_wanted = matches!(event.kind(), EventKind::ProbeAdmitted | EventKind::Settled(_));
        if is_wanted {
            told.lock().unwrap().send(event.to_string()).unwrap();
        }
    });
    let breaker = builder.build().unwrap();
    tokio::spawn(breaker.probe_with(Checks::default().answer(Ok(()))));
    breaker.trip();
    sleep(2 * SECOND).await;
    let events: Vec<String> = events.try_iter().collect();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events[0].contains("probe") && events[1].contains("success"), "{events:?}");
}
