//! Checks and calls share the probe slots.

use tokio::time::sleep;
use tower_breaker::{HalfOpen, RejectReason, State};

use crate::{Checks, SECOND, advance, permit, sensitive};

#[tokio::test(start_paused = true)]
async fn a_check_takes_a_probe_slot_from_calls() {
    let breaker = sensitive().build().unwrap();
    tokio::spawn(breaker.probe_with(Checks::default().hang()));
    breaker.trip();
    sleep(2 * SECOND).await;
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.reason(), RejectReason::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn while_calls_have_all_probe_slots_no_check_runs() {
    let breaker = sensitive().build().unwrap();
    let checks = Checks::default();
    breaker.trip();
    advance(SECOND).await;
    let probe = permit(&breaker);
    tokio::spawn(breaker.probe_with(checks.hang()));
    sleep(5 * SECOND).await;
    assert_eq!(checks.begun(), 0);
    probe.success();
    sleep(SECOND).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_check_begins_when_a_call_gives_its_slot_back_or_hangs() {
    for hangs in [false, true] {
        let breaker = sensitive().build().unwrap();
        let checks = Checks::default();
        breaker.trip();
        advance(SECOND).await;
        let probe = permit(&breaker);
        tokio::spawn(breaker.probe_with(checks.hang()));
        sleep(5 * SECOND).await;
        let mut probe = Some(probe);
        if hangs {
            sleep(7 * SECOND).await; // until its time is over, and the wait after it
        } else {
            probe.take();
            sleep(SECOND / 1000).await;
        }
        assert_eq!((breaker.state(), checks.running()), (State::HalfOpen, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_and_several_checks_are_never_more_than_the_permitted_probes() {
    let breaker = sensitive().half_open(HalfOpen::consecutive_successes(3)).build().unwrap();
    let checks = Checks::default();
    breaker.trip();
    advance(SECOND).await;
    let first = permit(&breaker);
    for _ in 0..5 {
        tokio::spawn(breaker.probe_with(checks.succeed_after(4 * SECOND)));
    }
    sleep(SECOND).await;
    assert_eq!(checks.running(), 2);
    assert!(breaker.try_acquire().is_err());
    drop(first);
    sleep(SECOND).await;
    assert_eq!(checks.running(), 3);
    assert!(breaker.try_acquire().is_err());
    sleep(10 * SECOND).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 3));
}

#[tokio::test(start_paused = true)]
async fn a_check_is_dropped_when_another_probe_or_an_operator_has_decided() {
    let decisions: [fn(&tower_breaker::CircuitBreaker); 4] = [
        |breaker| permit(breaker).failure(),
        |breaker| breaker.reset(),
        |breaker| breaker.trip(),
        |breaker| breaker.force_open(),
    ];
    for decide in decisions {
        let half_open = HalfOpen::consecutive_successes(2);
        let breaker = sensitive().half_open(half_open).build().unwrap();
        let checks = Checks::default();
        tokio::spawn(breaker.probe_with(checks.hang()));
        breaker.trip();
        sleep(2 * SECOND).await;
        assert_eq!(checks.running(), 1);
        decide(&breaker);
        sleep(SECOND / 1000).await;
        assert_eq!((checks.begun(), checks.running()), (1, 0));
    }
}
