//! Listeners that use their breaker, and listeners that panic.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio_test::task;
use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerLayer, Ending, Event, EventKind, Interest, OperatorAction, State,
};

use crate::{Log, MS, Own, Reported, SECOND, advance, observed, permit, sensitive};

/// A breaker with a listener that uses the breaker, and with a log.
fn using(
    act: impl Fn(&CircuitBreaker, EventKind<'_>) + Send + Sync + 'static,
) -> (CircuitBreaker, Log) {
    let own = Own::default();
    let used = own.clone();
    let (breaker, log) =
        observed(sensitive().on_event(move |event: &Event<'_>| act(used.get(), event.kind())));
    own.set(&breaker);
    (breaker, log)
}

/// Makes events of every kind.
async fn all_kinds(breaker: &CircuitBreaker) {
    permit(breaker).success();
    drop(breaker.try_acquire());
    permit(breaker).failure();
    drop(breaker.try_acquire());
    advance(SECOND).await;
    if let Ok(hangs) = breaker.try_acquire() {
        advance(30 * SECOND).await;
        drop(breaker.try_acquire());
        drop(hangs);
    }
    breaker.force_open();
    breaker.resume();
    breaker.reset();
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_reads_the_state_changes_nothing() {
    let (plain, log) = observed(sensitive());
    all_kinds(&plain).await;
    let expected = log.take().len();
    let (breaker, log) = using(|breaker, _| {
        let _ = (breaker.state(), breaker.snapshot(), breaker.history(), format!("{breaker:?}"));
        drop(breaker.subscribe());
    });
    all_kinds(&breaker).await;
    assert_eq!(log.take().len(), expected);
}

#[tokio::test(start_paused = true)]
async fn calls_that_a_listener_makes_are_not_reported() {
    let (breaker, log) = using(|breaker, _| {
        let _ = breaker.try_acquire().map(|call| call.success());
        drop(breaker.try_acquire());
    });
    permit(&breaker).success();
    assert_eq!(log.take().len(), 1);
    breaker.force_open();
    log.take();
    drop(breaker.try_acquire());
    assert_eq!(log.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_makes_a_call_takes_part_in_the_recovery() {
    let (breaker, log) = using(|breaker, kind| {
        if matches!(kind, EventKind::Rejected(_)) {
            let _ = breaker.try_acquire().map(|probe| probe.success());
        }
    });
    breaker.trip();
    drop(breaker.try_acquire());
    assert_eq!(breaker.state(), State::Open);
    advance(SECOND).await;
    let probe = permit(&breaker);
    drop(breaker.try_acquire()); // half-open without a free slot, for the listener as well
    drop(probe);
    assert_eq!(breaker.state(), State::HalfOpen);
    let probes = log.take().iter().filter(|reported| **reported == Reported::ProbeAdmitted).count();
    assert_eq!(probes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_a_listener_keeps_is_reported_when_it_ends_elsewhere() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeper = kept.clone();
    let (breaker, log) = using(move |breaker, kind| {
        if matches!(kind, EventKind::OperatorAction(_)) {
            keeper.lock().unwrap().push(permit(breaker));
        }
    });
    breaker.resume(); // without effect, but reported
    assert_eq!(log.ended(), []);
    kept.lock().unwrap().drain(..).for_each(|permit| permit.success());
    assert_eq!(log.ended().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn operator_actions_of_a_listener_are_not_reported_but_their_transitions_are() {
    let (breaker, log) = using(|breaker, kind| {
        if let EventKind::Settled(_) = kind {
            breaker.force_open();
            breaker.resume();
            breaker.trip();
            breaker.reset();
            breaker.force_closed();
        }
    });
    permit(&breaker).success();
    let reported = log.take();
    assert!(
        !reported.iter().any(|reported| matches!(reported, Reported::Action(_))),
        "{reported:?}"
    );
    let transitions =
        reported.iter().filter(|reported| matches!(reported, Reported::Transition(_)));
    assert_eq!(transitions.count(), 4);
    breaker.resume();
    assert_eq!(
        log.take(),
        [Reported::Action(OperatorAction::Resume)],
        "actions outside a listener are still reported"
    );
}

#[tokio::test(start_paused = true)]
async fn transitions_that_a_listener_causes_are_reported_after_the_one_that_it_is_receiving() {
    let (breaker, log) = using(|breaker, kind| match kind {
        EventKind::Transition(transition) if transition.to() == State::Open => breaker.reset(),
        _ => {}
    });
    permit(&breaker).failure();
    let to: Vec<State> = log.transitions().iter().map(|transition| transition.to()).collect();
    assert_eq!(to, [State::Open, State::Closed]);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn transitions_that_a_listener_of_calls_causes_are_reported_before_its_own_method_returns() {
    let (own, log) = (Own::default(), Log::new(Interest::Durations));
    let (used, inner) = (own.clone(), log.clone());
    let reported_meanwhile = Arc::new(Mutex::new(Vec::new()));
    let reported = reported_meanwhile.clone();
    let breaker = sensitive()
        .listener(log.clone())
        .on_event(move |event: &Event<'_>| {
            if let EventKind::Settled(_) = event.kind() {
                used.get().trip();
                reported.lock().unwrap().extend(inner.transitions());
            }
        })
        .build()
        .unwrap();
    own.set(&breaker);
    permit(&breaker).success();
    assert_eq!(*reported_meanwhile.lock().unwrap(), breaker.history());
}

#[test]
fn a_listener_that_resets_while_threads_trip_comes_to_an_end() {
    let (breaker, log) = using(|breaker, kind| match kind {
        EventKind::Transition(transition) if transition.to() == State::Open => breaker.reset(),
        _ => {}
    });
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let _ = breaker.try_acquire().map(|call| call.failure());
                }
            });
        }
    });
    let reported = log.transitions();
    assert!(!reported.is_empty());
    for (transition, expected) in reported.iter().zip([State::Open, State::Closed].iter().cycle()) {
        assert_eq!(transition.to(), *expected);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_use_another_breaker_that_has_listeners() {
    let (other, other_log) = observed(sensitive());
    let used = other.clone();
    let (breaker, log) = using(move |_, kind| match kind {
        EventKind::Transition(transition) if transition.to() == State::Open => used.trip(),
        _ => {}
    });
    permit(&breaker).failure();
    assert_eq!(log.transitions().len(), 1);
    assert_eq!(other.state(), State::Open);
    assert_eq!(other_log.transitions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_breakers_whose_listeners_call_each_other_come_to_an_end() {
    let (first, second) = (Own::default(), Own::default());
    let (of_first, of_second) = (first.clone(), second.clone());
    let call = |own: &Own| drop(own.get().try_acquire());
    let (one, log) = observed(sensitive().on_event(move |_| call(&of_second)));
    let (two, other_log) = observed(sensitive().on_event(move |_| call(&of_first)));
    first.set(&one);
    second.set(&two);
    permit(&one).success();
    permit(&two).success();
    assert_eq!((log.take().len(), other_log.take().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_at_every_event_changes_nothing_for_anybody_else() {
    let (calm, calm_log) = observed(sensitive());
    all_kinds(&calm).await;
    let log = Log::new(Interest::Durations);
    let breaker = sensitive()
        .on_event(|_| panic!("on purpose"))
        .listener(log.clone())
        .on_transition(|_| panic!("on purpose"))
        .build()
        .unwrap();
    let mut subscriber = breaker.subscribe();
    all_kinds(&breaker).await;
    let kinds = |log: &Log| {
        let reported = log.take().into_iter();
        reported.map(|reported| std::mem::discriminant(&reported)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&log), kinds(&calm_log));
    assert_eq!(breaker.state(), calm.state());
    assert!(subscriber.next().await.is_some_and(|first| first.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_while_the_inner_service_panics_harms_nobody() {
    let log = Log::new(Interest::Durations);
    let breaker =
        sensitive().on_event(|_| panic!("of the listener")).listener(log.clone()).build().unwrap();
    let inner = service_fn(|()| async { panic!("of the service") as Result<(), ()> });
    let mut call = task::spawn(CircuitBreakerLayer::new(breaker.clone()).layer(inner).oneshot(()));
    let panic = catch_unwind(AssertUnwindSafe(|| call.poll())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"of the service"));
    assert_eq!(log.ended().len(), 1);
    assert_eq!(breaker.state(), State::Open);
    drop(breaker.try_acquire());
    assert_eq!(log.take().len(), 1, "it goes on telling");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_while_a_permit_is_dropped_by_a_panic_harms_nobody() {
    let (breaker, log) = observed(sensitive().on_event(|_| panic!("of the listener")));
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _permit = permit(&breaker);
        panic!("of the caller");
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"of the caller"));
    assert_eq!(log.ended()[0].ending, Ending::Abandoned);
}

/// A panic payload that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("while the panic is dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_panics_again_when_it_is_dropped_harms_nobody() {
    let (breaker, log) = observed(sensitive().on_event(|_| panic_any(Bomb)));
    permit(&breaker).failure();
    advance(SECOND).await;
    permit(&breaker).success();
    assert_eq!(log.transitions().len(), 3);
    advance(MS).await;
    permit(&breaker).success();
    assert_eq!(log.ended().len(), 1);
}
