//! When the future ends, and what it keeps alive until then.

use std::future::pending;
use std::sync::Mutex;

use tokio::time::sleep;
use tokio_test::task;
use tower::{Layer, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, State};

use crate::{Checks, Outcome, SECOND, advance, permit, sensitive};

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_last_handle_is_dropped_while_it_sleeps() {
    let breaker = sensitive().build().unwrap();
    let mut future = task::spawn(breaker.probe_with(Checks::default().hang()));
    assert!(future.poll().is_pending());
    let clone = breaker.clone();
    drop(breaker);
    assert!(!future.is_woken());
    drop(clone);
    assert!(future.is_woken() && future.poll().is_ready());
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_last_handle_is_dropped_while_the_circuit_is_open() {
    for force in [false, true] {
        let breaker = sensitive().build().unwrap();
        let mut future = task::spawn(breaker.probe_with(Checks::default().hang()));
        breaker.trip();
        if force {
            breaker.force_open();
        }
        assert!(future.poll().is_pending());
        drop(breaker);
        assert!(future.is_woken() && future.poll().is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_last_handle_is_dropped_in_the_middle_of_a_check() {
    let breaker = sensitive().build().unwrap();
    let weak = breaker.downgrade();
    let checks = Checks::default();
    let future = tokio::spawn(breaker.probe_with(checks.hang()));
    breaker.trip();
    sleep(2 * SECOND).await;
    assert_eq!(checks.running(), 1);
    drop(breaker);
    assert!(weak.upgrade().is_none());
    future.await.unwrap();
    assert_eq!((checks.begun(), checks.running()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_once_if_there_is_no_handle_when_it_is_polled_first() {
    let breaker = CircuitBreaker::new("short-lived");
    let future = breaker.probe_with(Checks::default().hang());
    drop(breaker);
    assert!(task::spawn(future).poll().is_ready());
}

#[tokio::test(start_paused = true)]
async fn no_handle_is_alive_while_the_check_is_polled() {
    let breaker = sensitive().build().unwrap();
    let weak = breaker.downgrade();
    breaker.trip();
    advance(SECOND).await;
    let last = Mutex::new(Some(breaker.clone()));
    let (told, is_gone) = std::sync::mpsc::channel();
    let future = breaker.probe_with(move || {
        let last = last.lock().unwrap().take();
        let (told, weak) = (told.clone(), weak.clone());
        async move {
            drop(last);
            told.send(weak.upgrade().is_none()).unwrap();
            Ok::<_, ()>(())
        }
    });
    drop(breaker);
    let mut future = task::spawn(future);
    while future.poll().is_pending() {
        assert!(future.is_woken(), "it sleeps although the circuit is gone");
    }
    assert_eq!(is_gone.try_iter().collect::<Vec<_>>(), [true]);
}

#[tokio::test(start_paused = true)]
async fn a_layer_and_a_service_keep_it_going() {
    let breaker = sensitive().build().unwrap();
    let mut future = task::spawn(breaker.probe_with(Checks::default().hang()));
    let layer = CircuitBreakerLayer::new(breaker);
    assert!(future.poll().is_pending());
    let service = layer.layer(service_fn(|()| async { Ok::<_, ()>(()) }));
    drop(layer);
    assert!(!future.is_woken());
    drop(service);
    assert!(future.is_woken() && future.poll().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_circuit_of_another_breaker_that_takes_its_place_is_left_alone() {
    let breaker = sensitive().build().unwrap();
    let mut future = task::spawn(breaker.probe_with(Checks::default().hang()));
    breaker.trip();
    advance(SECOND).await;
    assert!(future.poll().is_pending()); // in the middle of a check
    drop(breaker);
    // The circuit of a breaker that is gone is used for the next one.
    let next: Vec<CircuitBreaker> = (0..10).map(|_| sensitive().build().unwrap()).collect();
    next.iter().for_each(CircuitBreaker::trip);
    advance(SECOND).await;
    let probes: Vec<_> = next.iter().map(permit).collect();
    while future.poll().is_pending() {
        tokio::task::yield_now().await;
        assert!(future.is_woken(), "it sleeps although the circuit is gone");
    }
    assert!(next.iter().all(|breaker| breaker.try_acquire().is_err()), "a slot was given back");
    probes.into_iter().for_each(|probe| probe.success());
    assert!(next.iter().all(|breaker| breaker.state() == State::Closed));
}

#[tokio::test(start_paused = true)]
async fn dropped_in_the_middle_of_a_check_it_has_given_its_slot_back() {
    let builder = sensitive();
    // A check that is dropped was not given up by anybody.
    for builder in [builder.clone(), builder.abandoned_after(SECOND)] {
        let breaker = builder.build().unwrap();
        let checks = Checks::default();
        let future = tokio::spawn(breaker.probe_with(checks.hang()));
        breaker.trip();
        sleep(5 * SECOND).await;
        assert_eq!(checks.running(), 1);
        assert!(breaker.try_acquire().is_err());
        future.abort();
        future.await.unwrap_err();
        assert_eq!((breaker.state(), checks.running()), (State::HalfOpen, 0));
        permit(&breaker).success();
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_while_it_waits_it_leaves_nothing_behind() {
    let breaker = sensitive().build().unwrap();
    let mut future = task::spawn(breaker.probe_with(pending::<Outcome>));
    breaker.trip();
    assert!(future.poll().is_pending());
    drop(future);
    advance(SECOND).await;
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
}
