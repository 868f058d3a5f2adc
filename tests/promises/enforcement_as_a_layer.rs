//! Rejections that are not enforced, as a Tower service sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Ending, EventKind, RejectReason,
    Rejected, State,
};

use crate::backend::{Control, backend, task};
use crate::p09_readiness::{Service, rejection};
use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

fn behind(layer: &CircuitBreakerLayer) -> (Service, Control) {
    let (backend, control) = backend();
    (task(layer.layer(backend)), control)
}

fn shadow() -> CircuitBreaker {
    sensitive().enforcement(0.0).build().unwrap()
}

fn half() -> CircuitBreaker {
    sensitive().enforcement(0.5).build().unwrap()
}

/// A call that has to reach the inner service, which answers it.
async fn reaches(service: &mut Service, control: &Control) {
    let before = control.calls();
    let call = service.call("let through");
    assert_eq!(control.calls(), before + 1);
    control.answer(Err("broken"));
    assert_eq!(call.await.unwrap_err(), CircuitBreakerError::Inner("broken"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_let_through_waits_for_the_inner_service_and_reaches_it() {
    let breaker = shadow();
    for layer in [CircuitBreakerLayer::new(breaker.clone()), with_backpressure(&breaker)] {
        let (mut service, control) = behind(&layer);
        breaker.trip();
        control.set_ready(false);
        assert_pending!(service.poll_ready());
        control.set_ready(true);
        assert!(service.is_woken());
        assert_ready_ok!(service.poll_ready());
        assert_ready_ok!(service.poll_ready());
        reaches(&mut service, &control).await;
        assert_eq!(breaker.state(), State::Open);
    }
}

fn layer(breaker: &CircuitBreaker, backpressure: bool) -> CircuitBreakerLayer {
    let layer = CircuitBreakerLayer::new(breaker.clone());
    if backpressure { layer.backpressure() } else { layer }
}

fn with_backpressure(breaker: &CircuitBreaker) -> CircuitBreakerLayer {
    layer(breaker, true)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_let_through_stays_a_shadow_call_if_the_circuit_closes_before_it() {
    let breaker = shadow();
    let (mut service, control) = behind(&CircuitBreakerLayer::new(breaker.clone()));
    breaker.trip();
    assert_ready_ok!(service.poll_ready());
    breaker.reset();
    // An enforcing circuit rejects such a call, so its failure must not count.
    reaches(&mut service, &control).await;
    assert_eq!(breaker.state(), State::Closed);
    assert_ready_ok!(service.poll_ready());
    reaches(&mut service, &control).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_readiness_was_granted_before_a_trip_is_let_through() {
    for backpressure in [false, true] {
        let breaker = half();
        let layer = layer(&breaker, backpressure);
        let (mut service, control) = behind(&layer);
        let (mut other, _) = behind(&layer);
        assert_ready_ok!(service.poll_ready());
        assert_ready_ok!(other.poll_ready());
        breaker.trip();
        reaches(&mut service, &control).await;
        assert_eq!(rejection(&mut other).await, RejectReason::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_let_through_is_decided_once_however_often_it_is_polled() {
    for backpressure in [false, true] {
        let breaker = half();
        let layer = layer(&breaker, backpressure);
        let (mut first, control) = behind(&layer);
        breaker.trip();
        control.set_ready(false);
        for _ in 0..4 {
            assert_pending!(first.poll_ready());
        }
        assert_eq!(control.readiness_polls(), 4);
        control.set_ready(true);
        for _ in 0..4 {
            assert_ready_ok!(first.poll_ready());
        }
        // Half of the credit is left, so the next rejection is enforced.
        assert!(breaker.try_acquire().is_err());
        reaches(&mut first, &control).await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_caller_that_has_to_wait_is_not_let_through_later() {
    let breaker = half();
    let layer = with_backpressure(&breaker);
    breaker.trip();
    let (mut first, control) = behind(&layer);
    let (mut second, other_control) = behind(&layer);
    assert_ready_ok!(first.poll_ready()); // let through
    for _ in 0..5 {
        assert_pending!(second.poll_ready());
        assert_eq!(other_control.readiness_polls(), 0);
    }
    reaches(&mut first, &control).await;
    advance(SECOND + MS).await;
    assert!(second.is_woken());
    assert_ready_ok!(second.poll_ready());
    let probe = second.call("probe");
    other_control.answer(Ok("fine"));
    probe.await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
    // The next call of this service is decided anew.
    breaker.trip();
    assert_ready_ok!(second.poll_ready());
    reaches(&mut second, &other_control).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_had_to_wait_and_became_ready_is_not_let_through_by_another_trip_either() {
    let breaker = half();
    let (mut service, control) = behind(&with_backpressure(&breaker));
    breaker.trip();
    drop(breaker.try_acquire()); // let through, so that the next rejection is enforced
    assert_pending!(service.poll_ready());
    breaker.reset();
    assert_ready_ok!(service.poll_ready());
    breaker.trip();
    assert_pending!(service.poll_ready());
    breaker.reset();
    assert_ready_ok!(service.poll_ready());
    breaker.trip();
    assert_eq!(rejection(&mut service).await, RejectReason::Open);
    assert_eq!(control.calls(), 0);
    // The next call is decided anew.
    assert_ready_ok!(service.poll_ready());
    reaches(&mut service, &control).await;
}

#[tokio::test(start_paused = true)]
async fn forcing_the_circuit_open_takes_back_what_was_let_through() {
    let breaker = shadow();
    let (mut service, control) = behind(&CircuitBreakerLayer::new(breaker.clone()));
    breaker.trip();
    control.set_ready(false);
    assert_pending!(service.poll_ready());
    breaker.force_open();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(rejection(&mut service).await, RejectReason::ForcedOpen);

    breaker.resume();
    breaker.trip();
    control.set_ready(true);
    assert_ready_ok!(service.poll_ready());
    breaker.force_open();
    assert_eq!(rejection(&mut service).await, RejectReason::ForcedOpen);
    assert_eq!(control.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn forcing_the_circuit_open_for_a_time_takes_nothing_back_once_that_is_over() {
    let breaker = shadow();
    let (mut service, control) = behind(&CircuitBreakerLayer::new(breaker.clone()));
    breaker.trip();
    assert_ready_ok!(service.poll_ready());
    breaker.force_open_for(SECOND);
    advance(SECOND).await;
    reaches(&mut service, &control).await;
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_forcing_the_circuit_open_makes_a_caller_that_was_let_through_wait() {
    let breaker = shadow();
    let (mut service, control) = behind(&with_backpressure(&breaker));
    breaker.trip();
    assert_ready_ok!(service.poll_ready());
    breaker.force_open();
    assert_pending!(service.poll_ready());
    breaker.resume();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    let probe = service.call("probe");
    control.answer(Ok("fine"));
    probe.await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn while_half_open_the_callers_without_a_slot_are_let_through() {
    let breaker = shadow();
    let (mut service, control) = behind(&CircuitBreakerLayer::new(breaker.clone()));
    until_half_open(&breaker).await;
    let probe = permit(&breaker);
    assert_ready_ok!(service.poll_ready());
    reaches(&mut service, &control).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_ends_a_call_that_was_let_through() {
    let endings = Arc::new(AtomicUsize::new(0));
    let count = endings.clone();
    let breaker = sensitive()
        .enforcement(0.0)
        .on_event(move |event| match event.kind() {
            EventKind::Settled(settled) if settled.ending() == Ending::Failure => {
                assert!(settled.is_shadow());
                count.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        })
        .build()
        .unwrap();
    let (mut service, control) = behind(&CircuitBreakerLayer::new(breaker.clone()));
    breaker.trip();
    control.fail_readiness("gone");
    assert_eq!(assert_ready_err!(service.poll_ready()), CircuitBreakerError::Inner("gone"));
    assert_eq!(endings.load(Ordering::Relaxed), 1);
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_only_the_rejections_that_are_enforced() {
    let breaker = half();
    breaker.trip();
    let service = CircuitBreakerLayer::new(breaker)
        .fallback(|_: u32, _: Rejected| async { Ok("fallback") })
        .layer(service_fn(|_: u32| async { Ok::<_, ()>("answer") }));
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(service.clone().oneshot(1).await.unwrap());
    }
    assert_eq!(answers, ["answer", "fallback", "answer", "fallback"]);
}
