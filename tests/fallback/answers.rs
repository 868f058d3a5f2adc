//! When a fallback is asked, what it receives, and what it may answer.

use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use tokio_test::task;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{CircuitBreakerError, Classifier, Permit, RejectReason, Rejected, State};

use crate::{Asked, Order, SECOND, breaker, layer, order, reason, shop};

#[tokio::test(start_paused = true)]
async fn a_fallback_receives_the_unchanged_request_and_the_rejection() {
    let breaker = breaker();
    let got = Arc::new(Mutex::new(None));
    let keep = got.clone();
    let service = layer(&breaker)
        .fallback(move |order: Order, rejected: Rejected| {
            *keep.lock().unwrap() = Some((order, rejected));
            ready(Ok(String::new()))
        })
        .layer(service_fn(shop));
    breaker.trip();
    tokio::time::advance(SECOND / 4).await;
    service.oneshot(order("tea")).await.unwrap();
    let (got, rejected) = got.lock().unwrap().take().expect("the fallback was asked");
    assert_eq!(got, order("tea"));
    assert_eq!((rejected.breaker(), rejected.reason()), ("test", RejectReason::Open));
    assert_eq!(rejected.retry_after(), Some(SECOND * 3 / 4));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_whatever_the_reason_of_the_rejection() {
    let breaker = breaker();
    let service = layer(&breaker).fallback(reason).layer(service_fn(shop));
    let answer = async || service.clone().oneshot(order("tea")).await;
    assert_eq!(answer().await, Ok("the shop's tea".into()));
    breaker.trip();
    assert_eq!(answer().await, Ok("Open".into()));
    tokio::time::advance(SECOND).await;
    let probe = breaker.try_acquire().unwrap();
    assert_eq!(answer().await, Ok("HalfOpen".into()));
    breaker.force_open();
    assert_eq!(answer().await, Ok("ForcedOpen".into()));
    breaker.resume();
    assert_eq!(answer().await, Ok("the shop's tea".into()), "this call was the probe");
    assert_eq!(breaker.state(), State::Closed);
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_a_call_that_is_rejected_because_of_a_trip_after_poll_ready() {
    let breaker = breaker();
    for layer in [layer(&breaker), layer(&breaker).backpressure()] {
        let mut service = layer.fallback(reason).layer(service_fn(shop));
        service.ready().await.unwrap();
        breaker.trip();
        assert_eq!(service.call(order("tea")).await, Ok("Open".into()));
        breaker.reset();
        assert_eq!(service.oneshot(order("tea")).await, Ok("the shop's tea".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_a_call_that_became_ready_while_open_even_if_the_circuit_has_closed_since()
 {
    let breaker = breaker();
    let mut service = layer(&breaker).fallback(reason).layer(service_fn(shop));
    breaker.trip();
    service.ready().await.unwrap();
    breaker.reset();
    assert_eq!(service.call(order("tea")).await, Ok("Open".into()));
    assert_eq!(service.oneshot(order("tea")).await, Ok("the shop's tea".into()));
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_caller_waits_and_is_not_answered_by_the_fallback() {
    let breaker = breaker();
    breaker.trip();
    let service = layer(&breaker).backpressure().fallback(reason).layer(service_fn(shop));
    let asked = tokio::time::Instant::now();
    assert_eq!(service.oneshot(order("tea")).await, Ok("the shop's tea".into()));
    assert!(asked.elapsed() >= SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_inner_service_does_not_go_to_the_fallback() {
    let (breaker, asked) = (breaker(), Asked::default());
    let service = layer(&breaker).fallback(asked.clone()).layer(service_fn(shop));
    let failed = service.clone().oneshot(order("fail")).await;
    assert_eq!(failed, Err(CircuitBreakerError::Inner("failed")));
    assert_eq!(
        (breaker.state(), asked.times()),
        (State::Open, 0),
        "the failure has tripped the circuit"
    );
    assert_eq!(service.oneshot(order("tea")).await, Ok("instead".into()));
    assert_eq!(asked.times(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_is_never_ready_or_panics_does_not_go_to_the_fallback() {
    let (breaker, asked) = (breaker(), Asked::default());
    let (inner, mut handle) = tower_test::mock::pair::<Order, String>();
    handle.send_error("down");
    let service = layer(&breaker).fallback(asked.clone()).layer(inner);
    let error = service.oneshot(order("tea")).await.unwrap_err();
    assert!(error.rejected().is_none());

    breaker.reset();
    let inner = service_fn(|_: Order| async { panic!("on purpose") as Result<String, ()> });
    let mut call =
        task::spawn(layer(&breaker).fallback(asked.clone()).layer(inner).oneshot(order("tea")));
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
    assert_eq!(asked.times(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_may_answer_with_the_rejection_or_an_error_of_its_own() {
    let breaker = breaker();
    breaker.force_open();
    let service = layer(&breaker)
        .fallback(|Order(what): Order, rejected: Rejected| async move {
            match what.as_str() {
                "rejection" => Err(rejected.into()),
                _ => Err(CircuitBreakerError::Inner("nothing in the cache")),
            }
        })
        .layer(service_fn(shop));
    let error = service.clone().oneshot(order("rejection")).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason(), RejectReason::ForcedOpen);
    let error = service.oneshot(order("tea")).await.unwrap_err();
    assert_eq!(error, CircuitBreakerError::Inner("nothing in the cache"));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_may_call_another_service() {
    let breaker = breaker();
    breaker.trip();
    let other = service_fn(|Order(what): Order| async move {
        tokio::time::sleep(SECOND / 2).await;
        Ok::<_, &'static str>(format!("the other shop's {what}"))
    });
    let service = layer(&breaker)
        .fallback(move |order, _: Rejected| async move {
            other.oneshot(order).await.map_err(CircuitBreakerError::Inner)
        })
        .layer(service_fn(shop));
    assert_eq!(service.oneshot(order("tea")).await, Ok("the other shop's tea".into()));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_may_call_a_service_behind_a_breaker_of_its_own() {
    let (breaker, second) = (breaker(), breaker());
    let behind_second = layer(&second).layer(service_fn(shop));
    let service = layer(&breaker)
        .fallback(move |order, _: Rejected| behind_second.clone().oneshot(order))
        .layer(service_fn(shop));
    breaker.trip();
    assert_eq!(service.clone().oneshot(order("tea")).await, Ok("the shop's tea".into()));
    second.force_open();
    let error = service.oneshot(order("tea")).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason(), RejectReason::ForcedOpen);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_with_the_response_type_of_the_classifier() {
    /// Returns the length of the response.
    #[derive(Clone)]
    struct Length;
    impl<E> Classifier<String, E> for Length {
        type Response = usize;

        fn response(&self, response: String, permit: Permit) -> usize {
            permit.success();
            response.len()
        }

        fn error(&self, _: &E, permit: Permit) {
            permit.failure();
        }
    }
    let breaker = breaker();
    let fallback = |_: Order, _: Rejected| async { Ok(0) };
    let service = layer(&breaker).classifier(Length).fallback(fallback).layer(service_fn(shop));
    assert_eq!(service.clone().oneshot(order("tea")).await, Ok(14));
    breaker.trip();
    assert_eq!(service.oneshot(order("tea")).await, Ok(0));
}
