//! The latest transitions of a circuit.

use std::sync::{Arc, Mutex};

use tower_breaker::{Cause, HalfOpen, Interest, State, Transition};

use crate::{Log, Own, SECOND, advance, observed, permit, sensitive};

#[tokio::test(start_paused = true)]
async fn a_new_circuit_has_no_history() {
    let breaker = sensitive().build().unwrap();
    permit(&breaker).success();
    breaker.reset(); // no change of state
    assert_eq!(breaker.history(), []);
}

#[tokio::test(start_paused = true)]
async fn the_history_is_the_last_eight_transitions_oldest_first() {
    let (breaker, log) = observed(sensitive());
    let mut reported = Vec::new();
    for round in 0..10 {
        permit(&breaker).failure();
        advance(SECOND).await;
        if round % 2 == 0 {
            permit(&breaker).success();
        } else {
            breaker.reset();
        }
        reported.extend(log.transitions());
        assert_eq!(breaker.history(), reported[reported.len().saturating_sub(8)..]);
    }
    assert_eq!((reported.len(), breaker.history().len()), (25, 8));
}

#[tokio::test(start_paused = true)]
async fn the_history_is_kept_even_if_there_are_no_listeners() {
    let breaker = sensitive().build().unwrap();
    permit(&breaker).failure();
    breaker.force_closed();
    let history = breaker.history();
    let causes: Vec<Cause> = history.iter().map(|transition| transition.cause()).collect();
    assert_eq!(causes, [Cause::ConsecutiveFailures { failures: 1 }, Cause::ForceClosed]);
    assert!(history.iter().all(|transition| transition.breaker() == "test"));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_does_not_inherit_the_history_of_another() {
    for _ in 0..20 {
        let breaker = sensitive().half_open(HalfOpen::consecutive_successes(1)).build().unwrap();
        assert_eq!(breaker.history(), []);
        breaker.trip();
        assert_eq!(breaker.history().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_history_already_contains_the_transition_that_a_listener_receives() {
    let last = Arc::new(Mutex::new(None));
    let (own, log) = (Own::default(), Log::new(Interest::Transitions));
    let (used, kept) = (own.clone(), last.clone());
    let breaker = sensitive()
        .listener(log.clone())
        .on_transition(move |_| *kept.lock().unwrap() = used.get().history().pop())
        .build()
        .unwrap();
    own.set(&breaker);
    permit(&breaker).failure();
    assert_eq!(last.lock().unwrap().take(), log.transitions().pop());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn the_history_contains_a_probe_timeout_that_nobody_has_noticed_yet() {
    let (breaker, log) = observed(sensitive().probe_timeout(SECOND));
    breaker.trip();
    advance(SECOND).await;
    let _hangs = permit(&breaker);
    advance(SECOND).await;
    log.take();
    let before = breaker.history();
    assert_eq!(before.last().map(Transition::cause), Some(Cause::ProbeTimedOut));
    assert_eq!((before.len(), breaker.state()), (3, State::Open));
    assert_eq!(log.take(), []);
    advance(SECOND / 2).await;
    breaker.try_acquire().unwrap_err();
    assert_eq!(breaker.history(), before);
    assert_eq!(log.transitions(), before[2..]);
    for _ in 0..3 {
        breaker.force_closed();
        breaker.force_open();
    }
    breaker.resume();
    let _hangs = permit(&breaker);
    let full = breaker.history();
    advance(SECOND).await;
    assert_eq!((full.len(), &breaker.history()[..7]), (8, &full[1..]));
}
