//! Point 8: a panic in the inner service counts as a failure and keeps unwinding. Other panics do not
//! count.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio_test::task::spawn;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Outcome, State};

use crate::{permit, sensitive, until_half_open};

/// Returns the message of the panic.
fn panic_of<T>(action: impl FnOnce() -> T) -> &'static str {
    let Err(panic) = catch_unwind(AssertUnwindSafe(action)) else { panic!("there was no panic") };
    panic.downcast_ref::<&str>().expect("the message is a literal")
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_inner_future_is_a_failure_and_keeps_unwinding() {
    let breaker = sensitive().build().unwrap();
    let inner = service_fn(|()| async { panic!("in the future") as Result<(), ()> });
    let service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
    let mut call = spawn(service.oneshot(()));
    assert_eq!(panic_of(|| call.poll()), "in the future");
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_inner_call_is_a_failure_and_keeps_unwinding() {
    type Answer = std::future::Ready<Result<(), ()>>;
    let breaker = sensitive().build().unwrap();
    let inner = service_fn(|()| -> Answer { panic!("in the call") });
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
    service.ready().await.unwrap();
    assert_eq!(panic_of(|| service.call(())), "in the call");
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_future_given_to_call_is_a_failure_and_keeps_unwinding() {
    let breaker = sensitive().build().unwrap();
    let mut call = spawn(breaker.call(async { panic!("in call") as Result<(), ()> }));
    assert_eq!(panic_of(|| call.poll()), "in call");
    drop(call);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_probe_reopens_the_circuit() {
    let breaker = sensitive().build().unwrap();
    until_half_open(&breaker).await;
    let mut call = spawn(breaker.call(async { panic!("in a probe") as Result<(), ()> }));
    panic_of(|| call.poll());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_panic_counts_once_even_if_the_call_is_dropped_later() {
    let breaker = CircuitBreaker::builder("rate")
        .failure_rate_threshold(1.0)
        .abandoned_after(std::time::Duration::from_nanos(1))
        .build()
        .unwrap();
    let mut call = spawn(breaker.call(async { panic!("once") as Result<(), ()> }));
    panic_of(|| call.poll());
    crate::advance(crate::SECOND).await;
    drop(call);
    assert_eq!(breaker.snapshot().failures(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_because_something_else_unwinds_is_abandoned() {
    let breaker = sensitive().build().unwrap();
    panic_of(|| {
        let _permit = permit(&breaker);
        panic!("elsewhere");
    });
    assert_eq!(breaker.state(), State::Closed);

    let pending = service_fn(|()| std::future::pending::<Result<(), ()>>());
    let service = CircuitBreakerLayer::new(breaker.clone()).layer(pending);
    panic_of(|| {
        let mut call = spawn(service.oneshot(()));
        assert!(call.poll().is_pending());
        panic!("elsewhere");
    });
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_classifier_is_not_a_failure_of_the_inner_service() {
    let breaker = sensitive().build().unwrap();
    until_half_open(&breaker).await;
    let inner = service_fn(|()| async { Ok::<(), ()>(()) });
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(|_: Result<&(), &()>| -> Outcome { panic!("in the classifier") });
    let mut call = spawn(layer.layer(inner).oneshot(()));
    assert_eq!(panic_of(|| call.poll()), "in the classifier");
    assert_eq!(breaker.state(), State::HalfOpen);
    let _the_slot_is_free = permit(&breaker);
}
