//! Metrics next to listeners that use the breaker, panic or block.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

use tower_breaker::{Event, EventKind, Interest, Listener};

use crate::*;

/// A breaker with a listener that uses it.
fn with_listener(
    on_event: impl Fn(&CircuitBreaker, &Event<'_>) + Send + Sync + 'static,
) -> CircuitBreaker {
    let slot: Arc<OnceLock<CircuitBreaker>> = Arc::default();
    let own = slot.clone();
    let breaker = sensitive().on_event(move |event| {
        if let Some(breaker) = own.get() {
            on_event(breaker, event);
        }
    });
    let breaker = breaker.build().unwrap();
    slot.set(breaker.clone()).unwrap();
    breaker
}

#[tokio::test(start_paused = true)]
async fn calls_and_rejections_of_a_listener_are_counted_but_not_reported_to_it() {
    let exporter = Exporter::new();
    let received = Arc::new(AtomicUsize::new(0));
    let counter = received.clone();
    let breaker = with_listener(move |breaker, event| {
        counter.fetch_add(1, Ordering::Relaxed);
        if let EventKind::Settled(_) = event.kind() {
            if let Ok(permit) = breaker.try_acquire() {
                permit.success();
            }
        }
    });
    permit(&breaker).success();
    permit(&breaker).failure();
    let scrape = exporter.scrape();
    assert_eq!(scrape.value(CALLS, &of_test(&[("outcome", "success")])), 2.0);
    assert_eq!(scrape.value(CALLS, &of_test(&[("outcome", "failure")])), 1.0);
    assert_eq!(scrape.value(REJECTIONS, &of_test(&[("reason", "open")])), 1.0);
    assert_eq!(received.load(Ordering::Relaxed), 3); // two calls and a transition
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_wants_transitions_does_not_receive_calls_because_of_the_metrics() {
    struct Quiet(Arc<AtomicUsize>);
    impl Listener for Quiet {
        fn on_event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn interest(&self) -> Interest {
            Interest::Transitions
        }
    }
    let _exporter = Exporter::new();
    let received = Arc::new(AtomicUsize::new(0));
    let breaker = sensitive().listener(Quiet(received.clone())).listener(|_: &Event<'_>| {});
    let breaker = breaker.build().unwrap();
    permit(&breaker).success();
    permit(&breaker).failure();
    breaker.try_acquire().unwrap_err();
    assert_eq!(received.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_resets_leaves_one_state_and_every_transition_counted() {
    let exporter = Exporter::new();
    let breaker = with_listener(|breaker, event| {
        if matches!(event.kind(), EventKind::Transition(t) if t.to() == tower_breaker::State::Open)
        {
            breaker.reset();
        }
    });
    (0..5).for_each(|_| permit(&breaker).failure());
    let scrape = exporter.scrape();
    assert_eq!(scrape.value(STATE, &of_test(&[("state", "closed")])), 1.0);
    assert_eq!(scrape.sum(STATE, &[]), 1.0);
    assert_eq!(scrape.sum(TRANSITIONS, &[("to", "open")]), 5.0);
    assert_eq!(scrape.sum(TRANSITIONS, &[("cause", "reset")]), 5.0);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_loses_no_count() {
    let exporter = Exporter::new();
    let breaker = with_listener(|_, _| std::panic::resume_unwind(Box::new("a listener")));
    permit(&breaker).success();
    permit(&breaker).failure();
    breaker.try_acquire().unwrap_err();
    let scrape = exporter.scrape();
    assert_eq!(scrape.sum(CALLS, &[]), 2.0);
    assert_eq!(scrape.sum(REJECTIONS, &[]), 1.0);
    assert_eq!(scrape.sum(TRANSITIONS, &[]), 1.0);
}

#[test]
fn a_listener_that_blocks_does_not_delay_the_metrics_of_a_transition() {
    let exporter = Exporter::new();
    let (is_blocking, blocks) = mpsc::channel();
    let (go_on, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let breaker = sensitive()
        .on_transition(move |_| {
            is_blocking.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
        })
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| breaker.trip());
        blocks.recv().unwrap();
        breaker.reset();
        let scrape = exporter.scrape();
        go_on.send(()).unwrap();
        go_on.send(()).unwrap();
        assert_eq!(scrape.value(STATE, &of_test(&[("state", "closed")])), 1.0);
        assert_eq!(scrape.sum(TRANSITIONS, &[]), 2.0);
    });
}
