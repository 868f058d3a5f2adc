//! Point 9, with `backpressure()`: while the circuit is open, the service is not ready instead of
//! rejecting.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio::time::timeout;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, Service as _, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, RejectReason, State};

use crate::backend::{Control, backend, task};
use crate::p09_readiness::{Service, breaker, rejection};
use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

fn behind_with_backpressure(breaker: &CircuitBreaker) -> (Service, Control) {
    let (backend, control) = backend();
    let layer = CircuitBreakerLayer::new(breaker.clone()).backpressure();
    (task(layer.layer(backend)), control)
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_an_open_circuit_is_not_ready_until_a_probe_may_be_admitted() {
    let breaker = breaker();
    let (mut service, control) = behind_with_backpressure(&breaker);
    breaker.trip();
    assert_pending!(service.poll_ready());
    assert_eq!(control.readiness_polls(), 0);
    advance(SECOND - MS).await;
    assert!(!service.is_woken());
    advance(2 * MS).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    let call = service.call("probe");
    control.answer(Ok("fine"));
    call.await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_waiting_caller_is_woken_when_an_operator_acts() {
    type Switch = fn(&CircuitBreaker);
    let switches: [(Switch, Switch); 3] = [
        (CircuitBreaker::trip, CircuitBreaker::reset),
        (CircuitBreaker::trip, CircuitBreaker::force_closed),
        (CircuitBreaker::force_open, CircuitBreaker::resume),
    ];
    for (open, act) in switches {
        let breaker = breaker();
        let (mut service, _) = behind_with_backpressure(&breaker);
        open(&breaker);
        assert_pending!(service.poll_ready());
        act(&breaker);
        assert!(service.is_woken());
        assert_ready_ok!(service.poll_ready());
    }
}

/// Closes the circuit when it is dropped.
struct ClosesWhenDropped(CircuitBreaker);

impl Wake for ClosesWhenDropped {
    fn wake(self: Arc<Self>) {}
}

impl Drop for ClosesWhenDropped {
    fn drop(&mut self) {
        self.0.force_closed();
    }
}

#[test]
fn with_backpressure_a_circuit_that_closes_while_a_caller_begins_to_wait_lets_it_go_on_at_once() {
    let breaker = breaker();
    let (backend, _control) = backend();
    let layer = CircuitBreakerLayer::new(breaker.clone()).backpressure();
    let mut service = layer.layer(backend);
    breaker.force_open();
    let first = Waker::from(Arc::new(ClosesWhenDropped(breaker)));
    assert_pending!(service.poll_ready(&mut Context::from_waker(&first)));
    drop(first);
    // The waker of the second poll replaces the first one, which closes the circuit meanwhile.
    assert_ready_ok!(service.poll_ready(&mut Context::from_waker(Waker::noop())));
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_forced_open_circuit_is_not_ready_for_years() {
    let breaker = breaker();
    let (mut service, _) = behind_with_backpressure(&breaker);
    breaker.trip();
    assert_pending!(service.poll_ready());
    breaker.force_open();
    for _ in 0..3 {
        advance(365 * 24 * 3600 * SECOND).await;
        assert_pending!(service.poll_ready());
    }
    breaker.resume();
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_caller_without_a_slot_waits_until_one_is_free_or_the_circuit_closes() {
    let breaker = breaker();
    let (mut service, _) = behind_with_backpressure(&breaker);
    until_half_open(&breaker).await;
    let probe = permit(&breaker);
    assert_pending!(service.poll_ready());
    probe.ignore();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    drop(service);

    let (mut service, _) = behind_with_backpressure(&breaker);
    let probe = permit(&breaker);
    assert_pending!(service.poll_ready());
    probe.success();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_caller_waits_through_a_failed_probe_and_one_that_hangs() {
    let breaker = sensitive().probe_timeout(10 * SECOND).build().unwrap();
    let (mut service, _) = behind_with_backpressure(&breaker);
    until_half_open(&breaker).await;
    let failing = permit(&breaker);
    assert_pending!(service.poll_ready());
    failing.failure();
    assert!(service.is_woken());
    assert_pending!(service.poll_ready());

    advance(SECOND).await;
    let _hanging = permit(&breaker);
    assert_pending!(service.poll_ready());
    advance(10 * SECOND).await;
    assert_pending!(service.poll_ready());
    advance(SECOND + MS).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_trip_between_poll_ready_and_call_still_rejects() {
    let breaker = breaker();
    let (mut service, control) = behind_with_backpressure(&breaker);
    assert_ready_ok!(service.poll_ready());
    breaker.trip();
    assert_eq!(rejection(&mut service).await, RejectReason::Open);
    assert_eq!(control.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_service_that_was_ready_before_a_trip_is_not_ready_when_asked_again() {
    let breaker = breaker();
    let (mut service, control) = behind_with_backpressure(&breaker);
    assert_ready_ok!(service.poll_ready());
    breaker.trip();
    assert_pending!(service.poll_ready());
    advance(SECOND + MS).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    let call = service.call("probe");
    control.answer(Ok("fine"));
    call.await.unwrap();
}

#[test]
fn a_service_that_waited_in_one_runtime_is_woken_in_another_while_the_first_is_idle_or_gone() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    for first_is_kept in [true, false] {
        let breaker = CircuitBreaker::builder("moved").open_duration(30 * SECOND).build().unwrap();
        breaker.trip();
        let inner = service_fn(|()| async { Ok::<(), ()>(()) });
        let mut service = CircuitBreakerLayer::new(breaker).backpressure().layer(inner);
        let first = runtime();
        let poll = poll_fn(|cx| Poll::Ready(service.poll_ready(cx).is_pending()));
        assert!(first.block_on(poll));
        let first = first_is_kept.then_some(first);

        let ready = poll_fn(|cx| service.poll_ready(cx));
        let ready = runtime().block_on(async { timeout(60 * SECOND, ready).await });
        ready.expect("it is woken").unwrap();
        drop(first);
    }
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_trip_makes_callers_of_the_inner_service_wait_for_the_circuit() {
    let breaker = breaker();
    let (mut service, control) = behind_with_backpressure(&breaker);
    control.set_ready(false);
    assert_pending!(service.poll_ready());
    breaker.trip();
    control.set_ready(true);
    assert_pending!(service.poll_ready());
    breaker.reset();
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn all_of_many_waiting_callers_are_admitted_eventually() {
    let breaker = breaker();
    breaker.trip();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let breaker = breaker.clone();
            tokio::spawn(async move {
                let permit = breaker.acquire().await;
                tokio::task::yield_now().await;
                permit.success();
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(breaker.state(), State::Closed);
}
