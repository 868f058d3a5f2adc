//! Point 9: `poll_ready`, `call`, and what happens in between.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use tokio_test::{assert_pending, assert_ready_ok};
use tower::Layer;
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, CircuitBreakerService, HalfOpen,
    Outcome, RejectReason, State,
};
use tower_test::mock::Spawn;

use crate::backend::{Backend, Control, backend, task};
use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

pub(crate) type Service = Spawn<CircuitBreakerService<Backend>>;

fn behind(breaker: &CircuitBreaker) -> (Service, Control) {
    let (backend, control) = backend();
    (task(CircuitBreakerLayer::new(breaker.clone()).layer(backend)), control)
}

pub(crate) fn breaker() -> CircuitBreaker {
    sensitive().build().unwrap()
}

/// Makes a call that has to be rejected, and returns why it was.
pub(crate) async fn rejection(service: &mut Service) -> RejectReason {
    match service.call("rejected").await {
        Err(CircuitBreakerError::Rejected(rejected)) => rejected.reason(),
        other => panic!("the call was not rejected: {other:?}"),
    }
}

fn panics(action: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(action)).is_err()
}

// ---- open -------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_ready_at_once_without_asking_the_inner_service() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    control.set_ready(false);
    breaker.trip();
    assert_ready_ok!(service.poll_ready());
    assert_eq!(rejection(&mut service).await, RejectReason::Open);
    assert_eq!((control.readiness_polls(), control.calls()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_became_ready_while_open_is_rejected_even_if_the_circuit_has_closed_since() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    breaker.trip();
    assert_ready_ok!(service.poll_ready());
    breaker.reset();
    assert_ready_ok!(service.poll_ready());
    assert_eq!(control.readiness_polls(), 0, "the service stays ready until `call`");
    assert_eq!(rejection(&mut service).await, RejectReason::Open);
    assert_eq!(control.calls(), 0);

    assert_ready_ok!(service.poll_ready());
    let call = service.call("admitted");
    control.answer(Ok("fine"));
    assert_eq!(call.await.unwrap(), "fine");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_says_how_long_to_wait() {
    let breaker = breaker();
    let (mut service, _) = behind(&breaker);
    breaker.trip();
    advance(SECOND / 4).await;
    assert_ready_ok!(service.poll_ready());
    let error = service.call("rejected").await.unwrap_err();
    assert_eq!(error.rejected().unwrap().retry_after(), Some(SECOND * 3 / 4));

    breaker.force_open();
    assert_ready_ok!(service.poll_ready());
    let error = service.call("rejected").await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason(), RejectReason::ForcedOpen);
    assert_eq!(error.rejected().unwrap().retry_after(), None);
}

// ---- between poll_ready and call --------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_rejection_says_how_long_to_wait_from_the_call_on() {
    let breaker = breaker();
    let (mut service, _) = behind(&breaker);
    breaker.trip();
    assert_ready_ok!(service.poll_ready());
    advance(SECOND / 4).await;
    let error = service.call("rejected").await.unwrap_err();
    let rejected = error.rejected().unwrap();
    assert_eq!(rejected.retry_after(), Some(SECOND * 3 / 4));
    advance(SECOND).await;
    assert_eq!(rejected.retry_after(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_ready_service_stays_ready_until_call() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    assert_ready_ok!(service.poll_ready());
    control.set_ready(false);
    breaker.trip();
    assert_ready_ok!(service.poll_ready());
    advance(SECOND).await;
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_became_ready_before_a_trip_is_rejected() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    assert_ready_ok!(service.poll_ready());
    breaker.trip();
    assert_eq!(rejection(&mut service).await, RejectReason::Open);
    assert_eq!(control.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_became_ready_before_a_trip_is_a_probe_after_the_wait() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    assert_ready_ok!(service.poll_ready());
    until_half_open(&breaker).await;
    let call = service.call("probe");
    assert_eq!(breaker.state(), State::HalfOpen);
    control.answer(Ok("fine"));
    call.await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_clone_starts_without_readiness() {
    for is_open in [false, true] {
        let breaker = breaker();
        let (mut service, _) = behind(&breaker);
        if is_open {
            breaker.trip();
        }
        assert_ready_ok!(service.poll_ready());
        let mut clone = service.clone();
        assert!(panics(|| drop(clone.call("unready"))));
        assert_ready_ok!(clone.poll_ready());
        drop(clone.call("ready"));
        drop(service.call("the original is still ready"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clone_of_a_service_with_a_probe_slot_has_none() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    until_half_open(&breaker).await;
    control.set_ready(false);
    assert_pending!(service.poll_ready());
    let mut clone = service.clone();
    assert_ready_ok!(clone.poll_ready());
    assert_eq!(rejection(&mut clone).await, RejectReason::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_readiness_panics() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    assert!(panics(|| drop(service.call("never polled"))));
    assert_ready_ok!(service.poll_ready());
    drop(service.call("ready"));
    assert!(panics(|| drop(service.call("only ready once"))));
    control.set_ready(false);
    assert_pending!(service.poll_ready());
    assert!(panics(|| drop(service.call("still waiting"))));
    breaker.trip();
    assert!(panics(|| drop(service.call("open, but not polled"))));
}

#[tokio::test(start_paused = true)]
async fn the_duration_of_a_call_is_measured_from_call_not_from_poll_ready() {
    let breaker = sensitive()
        .slow_call_duration_threshold(SECOND)
        .slow_call_rate_threshold(1.0)
        .minimum_calls(1)
        .build()
        .unwrap();
    for is_half_open in [false, true] {
        if is_half_open {
            until_half_open(&breaker).await;
        }
        let (mut service, control) = behind(&breaker);
        assert_ready_ok!(service.poll_ready());
        advance(SECOND).await;
        let call = service.call("quick");
        advance(SECOND - MS).await;
        control.answer(Ok("fine"));
        call.await.unwrap();
        assert_eq!(breaker.state(), State::Closed);
    }
}

// ---- an inner service that is not ready -------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn while_closed_the_service_is_ready_when_the_inner_service_is() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    control.set_ready(false);
    assert_pending!(service.poll_ready());
    control.set_ready(true);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn a_trip_wakes_a_caller_that_waits_for_the_inner_service_and_rejects_it() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    control.set_ready(false);
    assert_pending!(service.poll_ready());
    assert!(!service.is_woken());
    permit(&breaker).failure();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(rejection(&mut service).await, RejectReason::Open);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_ready_or_was_dropped_is_not_woken() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    control.set_ready(false);
    assert_pending!(service.poll_ready());
    control.set_ready(true);
    assert_ready_ok!(service.poll_ready());
    breaker.trip();
    assert!(!service.is_woken());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_inner_poll_ready_is_classified_and_passed_on() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    control.fail_readiness("broken");
    let Poll::Ready(Err(error)) = service.poll_ready() else { panic!("`poll_ready` should fail") };
    assert_eq!(error, CircuitBreakerError::Inner("broken"));
    assert_eq!(breaker.state(), State::Open, "an error is a failure by default");
    assert_ready_ok!(service.poll_ready());

    breaker.reset();
    let (backend, control) = backend();
    let ignoring = CircuitBreakerLayer::new(breaker.clone())
        .classifier(|_: Result<&&str, &&str>| Outcome::Ignored);
    let mut service = task(ignoring.layer(backend));
    control.fail_readiness("broken");
    assert!(matches!(service.poll_ready(), Poll::Ready(Err(_))));
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_inner_poll_ready_fails_the_probe() {
    let breaker = breaker();
    let (mut service, control) = behind(&breaker);
    until_half_open(&breaker).await;
    control.fail_readiness("broken");
    assert!(matches!(service.poll_ready(), Poll::Ready(Err(_))));
    assert_eq!(breaker.state(), State::Open);
}

// ---- half-open --------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn while_half_open_only_the_permitted_number_of_callers_wait_for_the_inner_service() {
    let breaker = sensitive().half_open(HalfOpen::consecutive_successes(2)).build().unwrap();
    until_half_open(&breaker).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let (mut service, control) = behind(&breaker);
        control.set_ready(false);
        assert_pending!(service.poll_ready());
        assert_pending!(service.poll_ready()); // takes no second slot
        waiting.push((service, control));
    }
    let (mut third, control) = behind(&breaker);
    assert_ready_ok!(third.poll_ready());
    assert_eq!(control.readiness_polls(), 0);
    assert_eq!(rejection(&mut third).await, RejectReason::HalfOpen);

    for (service, control) in &mut waiting {
        control.set_ready(true);
        assert_ready_ok!(service.poll_ready());
        let call = service.call("probe");
        control.answer(Ok("fine"));
        call.await.unwrap();
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_service_gives_its_probe_slot_back() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    let (mut first, control) = behind(&breaker);
    control.set_ready(false);
    assert_pending!(first.poll_ready());
    breaker.try_acquire().unwrap_err();
    drop(first);
    assert_eq!(breaker.state(), State::HalfOpen);
    let _probe = permit(&breaker);
}

#[tokio::test(start_paused = true)]
async fn a_slot_expires_with_the_probe_timeout_so_that_an_idle_service_cannot_keep_it() {
    let breaker = sensitive().probe_timeout(10 * SECOND).build().unwrap();
    until_half_open(&breaker).await;
    let (mut idle, control) = behind(&breaker);
    assert_ready_ok!(idle.poll_ready());
    advance(11 * SECOND).await;
    let probe = permit(&breaker);

    assert_ready_ok!(idle.poll_ready());
    assert_eq!(rejection(&mut idle).await, RejectReason::HalfOpen, "its slot has expired");
    assert_eq!(control.calls(), 0);
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_idle_service_whose_slot_has_expired_is_admitted_if_the_circuit_has_closed() {
    let breaker = sensitive().probe_timeout(10 * SECOND).build().unwrap();
    until_half_open(&breaker).await;
    let (mut idle, control) = behind(&breaker);
    assert_ready_ok!(idle.poll_ready());
    advance(11 * SECOND).await;
    permit(&breaker).success();
    drop(idle.call("late"));
    assert_eq!(control.calls(), 1, "the inner service has said that it is ready");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_for_the_inner_service_is_rejected_when_its_slot_has_expired() {
    let breaker = sensitive().probe_timeout(10 * SECOND).build().unwrap();
    until_half_open(&breaker).await;
    let (mut service, control) = behind(&breaker);
    control.set_ready(false);
    assert_pending!(service.poll_ready());
    advance(10 * SECOND - MS).await;
    assert!(!service.is_woken());
    advance(2 * MS).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(rejection(&mut service).await, RejectReason::Open);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_void_after_a_reset_is_replaced_while_the_caller_waits() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    let (mut service, control) = behind(&breaker);
    control.set_ready(false);
    assert_pending!(service.poll_ready());
    breaker.reset();
    assert!(service.is_woken());
    assert_pending!(service.poll_ready());
    control.set_ready(true);
    assert_ready_ok!(service.poll_ready());
    let call = service.call("closed");
    control.answer(Ok("fine"));
    call.await.unwrap();
}

// ---- without a runtime ------------------------------------------------------------------------

#[test]
fn nothing_needs_a_runtime_unless_it_waits_for_the_circuit() {
    let breaker = sensitive().open_duration(std::time::Duration::from_nanos(1)).build().unwrap();
    let (mut service, control) = behind(&breaker);
    assert_ready_ok!(service.poll_ready());
    let mut call = tokio_test::task::spawn(service.call("fails"));
    control.answer(Err("no"));
    assert!(call.poll().is_ready());
    assert_eq!(breaker.state(), State::Open);
    breaker.force_open();
    assert_ready_ok!(service.poll_ready());
    assert!(tokio_test::task::spawn(service.call("rejected")).poll().is_ready());
    breaker.resume();
    control.set_ready(false);
    assert_pending!(service.poll_ready()); // with a slot, for the inner service
    control.set_ready(true);
    assert_ready_ok!(service.poll_ready());
}

#[test]
fn a_probe_timeout_that_elapses_at_once_does_not_keep_poll_ready_busy() {
    let least = std::time::Duration::from_nanos(1);
    let breaker = sensitive().open_duration(least).probe_timeout(least).build().unwrap();
    let (mut service, control) = behind(&breaker);
    breaker.trip();
    control.set_ready(false);
    // Each call of `poll_ready` returns. The result does not matter.
    (0..1000).for_each(|_| drop(service.poll_ready()));
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_woken_if_the_circuit_trips_while_the_inner_service_is_polled() {
    let breaker = breaker();
    let tripping = breaker.clone();
    let inner = tower::util::future_service(std::future::poll_fn(move |_| {
        tripping.trip();
        Poll::<Result<Backend, &'static str>>::Pending
    }));
    let mut service = task(CircuitBreakerLayer::new(breaker).layer(inner));
    assert_pending!(service.poll_ready());
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}
