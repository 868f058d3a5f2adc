//! When events are no longer reported, and when listeners are freed.

use std::sync::{Arc, Mutex, Weak};

use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Event, Interest, Permit};

use crate::{Log, observed, permit, sensitive};

fn every_way_to_end() -> [fn(Permit); 4] {
    [Permit::success, Permit::failure, Permit::ignore, drop]
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_outlives_its_breaker_is_not_reported() {
    for end in every_way_to_end() {
        let (breaker, log) = observed(sensitive());
        let late = permit(&breaker);
        drop(breaker);
        end(late);
        assert_eq!(log.take(), []);
    }
}

/// Builds so many breakers that one of them reuses the circuit that has just been dropped, unless another test
/// has taken it.
fn many(of: impl Fn() -> (CircuitBreaker, Log)) -> Vec<(CircuitBreaker, Log)> {
    (0..30).map(|_| of()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_outlives_its_breaker_is_not_reported_to_the_next_one() {
    let unobserved = || (sensitive().build().unwrap(), Log::new(Interest::Transitions));
    for end in every_way_to_end() {
        for was_observed in [false, true] {
            let (breaker, log) = if was_observed { observed(sensitive()) } else { unobserved() };
            let (late, later) = (permit(&breaker), permit(&breaker));
            drop(breaker);
            let others = many(|| observed(sensitive()));
            end(late);
            for (other, other_log) in &others {
                assert_eq!(other_log.take(), []);
                permit(other).success();
                assert_eq!(other_log.ended().len(), 1, "it receives events of its own breaker");
            }
            drop(others);
            let _others = many(unobserved);
            end(later);
            assert_eq!(log.take(), []);
        }
    }
}

/// A listener, and a reference that shows whether it has been freed.
fn listener() -> (impl Fn(&Event<'_>) + Send + Sync + 'static, Weak<()>) {
    let owned = Arc::new(());
    let weak = Arc::downgrade(&owned);
    (move |_: &Event<'_>| drop(owned.clone()), weak)
}

#[tokio::test(start_paused = true)]
async fn a_breaker_frees_its_listeners_when_the_last_handle_goes() {
    let (on_event, first) = listener();
    let (listens, second) = listener();
    let owned = Arc::new(());
    let third = Arc::downgrade(&owned);
    let breaker = sensitive()
        .on_event(on_event)
        .listener(listens)
        .on_transition(move |_| drop(owned.clone()))
        .build()
        .unwrap();
    let service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    service.clone().oneshot(()).await.unwrap();
    let late = permit(&breaker);
    breaker.trip();
    let subscriber = breaker.subscribe();
    drop(breaker);
    assert_eq!(first.strong_count(), 1, "the service has a handle");
    drop(service);
    for listener in [first, second, third] {
        assert_eq!(listener.strong_count(), 0);
    }
    drop((late, subscriber));
}

#[tokio::test(start_paused = true)]
async fn a_builder_keeps_its_listeners_for_further_breakers() {
    let (on_event, weak) = listener();
    let builder = sensitive().on_event(on_event);
    drop(builder.clone().build().unwrap());
    assert_eq!(weak.strong_count(), 1);
    drop(builder.build().unwrap());
    assert_eq!(weak.strong_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_cannot_be_built_frees_its_listeners() {
    let (on_event, weak) = listener();
    sensitive().consecutive_failures(0).on_event(on_event).build().unwrap_err();
    assert_eq!(weak.strong_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_owns_a_handle_keeps_its_breaker_alive() {
    let handle = Arc::new(Mutex::new(None));
    let (kept, (on_event, weak)) = (handle.clone(), listener());
    let breaker = sensitive()
        .on_event(move |event: &Event<'_>| {
            on_event(event);
            drop(kept.lock().unwrap());
        })
        .build()
        .unwrap();
    *handle.lock().unwrap() = Some(breaker.clone());
    drop(breaker);
    assert_eq!(weak.strong_count(), 1);
    let handle = handle.lock().unwrap().take(); // breaks the cycle
    drop(handle);
    assert_eq!(weak.strong_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_drop_the_last_handle_of_its_breaker() {
    let handle = Arc::new(Mutex::new(None));
    let (dropper, (on_event, weak)) = (handle.clone(), listener());
    let (log, late) = (Log::new(Interest::Durations), Arc::new(Mutex::new(None)));
    let settled = late.clone();
    let breaker = sensitive()
        .on_event(move |event: &Event<'_>| {
            on_event(event);
            drop(dropper.lock().unwrap().take());
            drop(settled.lock().unwrap().take());
        })
        .listener(log.clone())
        .build()
        .unwrap();
    *late.lock().unwrap() = Some(permit(&breaker));
    let own = permit(&breaker);
    *handle.lock().unwrap() = Some(breaker);
    own.success();
    assert!(handle.lock().unwrap().is_none());
    assert_eq!(log.take().len(), 1, "the second listener receives the event, too");
    assert_eq!(weak.strong_count(), 0);
}
