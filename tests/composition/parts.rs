//! `Send`, `Sync`, `Clone` and `'static`: the types of the breaker implement them if their parts do, and do
//! not require them.

use std::cell::Cell;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::rc::Rc;

use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerError, CircuitBreakerLayer,
    CircuitBreakerService, ConfigError, Outcome, Permit, Rejected, ResponseFuture, State,
};

use crate::{Dependency, Down, Health, WAIT, breaker, call, is_rejection, layer};

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}
fn is_clone<T: Clone>() {}
fn is_static<T: 'static>() {}
fn is_unpin<T: Unpin>() {}
fn is_debug<T: Debug>() {}

/// `Send`, and nothing else.
struct SendOnly(Cell<()>);

/// Everything except `Send` and `Sync`.
#[derive(Debug, Clone)]
struct Local(#[expect(dead_code, reason = "for the type")] Rc<()>);

#[test]
fn the_types_of_the_circuit_are_send_and_sync() {
    is_send::<CircuitBreaker>();
    is_sync::<CircuitBreaker>();
    is_clone::<CircuitBreaker>();
    is_static::<CircuitBreaker>();
    is_debug::<CircuitBreaker>();
    is_send::<CircuitBreakerBuilder>();
    is_send::<Permit>();
    is_static::<Permit>();
    is_debug::<Permit>();
    is_send::<Rejected>();
    is_sync::<Rejected>();
    is_clone::<Rejected>();
    is_send::<ConfigError>();
    is_sync::<ConfigError>();
}

#[test]
fn layer_service_and_future_implement_the_markers_of_their_parts() {
    is_send::<CircuitBreakerLayer>();
    is_sync::<CircuitBreakerLayer>();
    is_clone::<CircuitBreakerLayer>();
    is_send::<CircuitBreakerLayer<SendOnly>>();
    is_clone::<CircuitBreakerLayer<Local>>();

    is_send::<CircuitBreakerService<Dependency>>();
    is_sync::<CircuitBreakerService<Dependency>>();
    is_clone::<CircuitBreakerService<Dependency>>();
    is_unpin::<CircuitBreakerService<Dependency>>();
    is_static::<CircuitBreakerService<Dependency>>();
    is_debug::<CircuitBreakerService<Dependency>>();
    is_send::<CircuitBreakerService<SendOnly, SendOnly>>();
    is_clone::<CircuitBreakerService<Local, Local>>();

    type Future = <CircuitBreakerService<Dependency> as Service<u32>>::Future;
    is_send::<Future>();
    is_sync::<Future>();
    is_unpin::<Future>();
    is_static::<Future>();
    is_debug::<Future>();
    is_send::<ResponseFuture<SendOnly, SendOnly, SendOnly>>();
}

#[tokio::test(start_paused = true)]
async fn an_error_type_need_not_implement_any_trait() {
    struct Opaque(PhantomData<Rc<()>>); // not Send, Sync, Clone, Debug, Display or Error
    let breaker = breaker();
    let service =
        layer(&breaker).layer(service_fn(|_: u32| async { Err::<Rc<()>, _>(Opaque(PhantomData)) }));

    for _ in 0..2 {
        let result = service.clone().oneshot(7).await;
        assert!(matches!(result, Err(CircuitBreakerError::Inner(Opaque(_)))));
    }
    assert!(is_rejection(&service.oneshot(7).await));

    let called = breaker.call(async { Err::<(), _>(Opaque(PhantomData)) }).await;
    assert!(called.is_err_and(|error| error.rejected().is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_must_stay_on_its_thread_works_there() {
    let (breaker, calls) = (breaker(), Rc::new(Cell::new(0)));
    let counted = calls.clone();
    let local = service_fn(move |request: Rc<u32>| {
        counted.set(counted.get() + 1);
        async move { Err::<(), _>(request) }
    });
    let judge = calls.clone(); // the classifier may stay there, too
    let service = layer(&breaker)
        .classifier(
            move |_: Result<&(), &Rc<u32>>| {
                if judge.get() > 1 { Outcome::Failure } else { Outcome::Ignored }
            },
        )
        .layer(local);

    let tasks = LocalSet::new();
    tasks
        .run_until(async {
            for _ in 0..10 {
                spawn_local(service.clone().oneshot(Rc::new(7))).await.unwrap().unwrap_err();
            }
        })
        .await;
    assert_eq!(calls.get(), 3, "one call was ignored, two failed, and the others were rejected");
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_is_applied_for_each_request_shares_one_circuit() {
    let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
    let layer = layer(&breaker);

    for n in 0..10 {
        let result = layer.clone().layer(dependency.clone()).oneshot(7).await;
        assert_eq!(is_rejection(&result), n >= 2);
    }
    assert_eq!(dependency.calls(), 2);

    dependency.becomes(Health::Well);
    advance(WAIT).await;
    assert_eq!(layer.layer(dependency.clone()).oneshot(7).await, Ok(7));
    assert_eq!(layer.breaker().state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn classifier_and_backpressure_may_be_set_in_any_order() {
    type Judge = fn(Result<&u32, &Down>) -> Outcome;
    let lenient: Judge = |_| Outcome::Success;
    for swapped in [false, true] {
        let (breaker, dependency) = (breaker(), Dependency::new(Health::Failing));
        let layer = layer(&breaker);
        let layer = if swapped {
            layer.backpressure().classifier(lenient)
        } else {
            layer.classifier(lenient).backpressure()
        };
        let mut service = layer.layer(dependency);

        for _ in 0..10 {
            assert_eq!(call(&mut service).await, Err(CircuitBreakerError::Inner(Down)));
        }
        breaker.trip();
        let asked = Instant::now();
        assert_eq!(call(&mut service).await, Err(CircuitBreakerError::Inner(Down)));
        assert_eq!(asked.elapsed(), WAIT);
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_may_be_settled_on_another_thread() {
    let breaker = breaker();
    for _ in 0..2 {
        let permit = breaker.try_acquire().unwrap();
        std::thread::spawn(move || permit.failure()).join().unwrap();
    }
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_clone_starts_without_the_readiness_of_its_original() {
    let breaker = breaker();
    let mut original = layer(&breaker).layer(Dependency::new(Health::Well));
    original.ready().await.unwrap();

    let mut clone = original.clone();
    assert_eq!(call(&mut clone).await, Ok(7)); // without readiness, `Dependency` would panic
    assert_eq!(original.call(7).await, Ok(7));
}
