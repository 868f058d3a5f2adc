//! How fallbacks can be written, and what their types are.

use std::cell::Cell;
use std::fmt::Debug;
use std::future::{Future, Ready, ready};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_test::task;
use tower::util::ServiceFn;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreakerLayer, CircuitBreakerService, ErrorsAsFailures, Fallback, NoFallback, Outcome,
    Rejected, RejectedFuture, ResponseFuture, State,
};

use crate::{Asked, Error, Order, breaker, layer, order, reason, shop};

#[tokio::test(start_paused = true)]
async fn a_fallback_can_be_a_function_or_a_closure_of_every_kind_without_annotations() {
    async fn function(Order(what): Order, _: Rejected) -> Result<String, Error> {
        Ok(what)
    }
    let breaker = breaker();
    breaker.force_open();
    macro_rules! assert_answers {
        ($fallback:expr) => {
            let service = layer(&breaker).fallback($fallback).layer(service_fn(shop));
            assert_eq!(service.oneshot(order("tea")).await, Ok("tea".into()));
        };
    }
    let shared = Arc::new(String::from("tea"));
    assert_answers!(function);
    assert_answers!(|_, _| async { Ok("tea".into()) });
    assert_answers!(|order: Order, _: Rejected| async move { Ok(order.0) });
    assert_answers!(|order: Order, _| ready(Ok(order.0)));
    assert_answers!(async |order: Order, _: Rejected| Ok(order.0));
    assert_answers!(|order: Order, rejected: Rejected| async move {
        let cached = Some(order.0).ok_or(rejected)?;
        Ok(cached)
    });
    assert_answers!(move |_: Order, _: Rejected| {
        let shared = shared.clone();
        async move { Ok(shared.to_string()) }
    });
}

#[tokio::test(start_paused = true)]
async fn fallback_classifier_and_backpressure_may_be_set_in_any_order() {
    fn lenient(_: Result<&String, &&'static str>) -> Outcome {
        Outcome::Success
    }
    type Judge = fn(Result<&String, &&'static str>) -> Outcome;
    type Answer = fn(Order, Rejected) -> Ready<Result<String, Error>>;
    let (judge, answer): (Judge, Answer) = (lenient, reason);
    let breaker = breaker();
    for layer in [
        layer(&breaker).fallback(answer).classifier(judge).backpressure(),
        layer(&breaker).classifier(judge).backpressure().fallback(answer),
        layer(&breaker).backpressure().fallback(answer).classifier(judge),
    ] {
        let mut service = layer.layer(service_fn(shop));
        service.ready().await.unwrap().call(order("fail")).await.unwrap_err();
        assert_eq!(breaker.state(), State::Closed, "the classifier is still set");
        service.ready().await.unwrap();
        breaker.trip();
        assert_eq!(service.call(order("tea")).await, Ok("Open".into()));
        assert!(task::spawn(service.ready()).poll().is_pending(), "backpressure is still set");
        breaker.reset();
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_fallback_that_is_set_is_used() {
    let (breaker, first, second) = (breaker(), Asked::default(), Asked::default());
    let layer = layer(&breaker).fallback(first.clone()).fallback(second.clone());
    breaker.trip();
    layer.layer(service_fn(shop)).oneshot(order("tea")).await.unwrap();
    assert_eq!((first.times(), second.times()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn all_services_of_a_layer_and_their_clones_have_the_fallback() {
    let (breaker, asked) = (breaker(), Asked::default());
    let layer = layer(&breaker).fallback(asked.clone());
    breaker.trip();
    let service = layer.clone().layer(service_fn(shop));
    service.clone().oneshot(order("tea")).await.unwrap();
    service.oneshot(order("tea")).await.unwrap();
    layer.layer(service_fn(shop)).oneshot(order("tea")).await.unwrap();
    assert_eq!(asked.times(), 3);
}

/// A fallback whose future has a name, so that the type of the service can be named.
#[derive(Debug, Clone)]
struct Menu;

struct MenuFuture;

impl Future for MenuFuture {
    type Output = Result<String, Error>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok("the menu".into()))
    }
}

impl Fallback<Order, String, &'static str> for Menu {
    type Future = MenuFuture;

    fn answer(&self, _: Order, _: Rejected) -> MenuFuture {
        MenuFuture
    }
}

type Shop = fn(Order) -> Ready<Result<String, &'static str>>;

#[derive(Clone)]
struct Client {
    service: CircuitBreakerService<ServiceFn<Shop>, ErrorsAsFailures, Menu>,
}

#[tokio::test(start_paused = true)]
async fn the_types_can_be_named() {
    let breaker = breaker();
    let layer: CircuitBreakerLayer<ErrorsAsFailures, Menu> = layer(&breaker).fallback(Menu);
    let shop: Shop = |_| ready(Err("closed"));
    let mut client = Client { service: layer.layer(service_fn(shop)) };
    breaker.trip();
    let future: ResponseFuture<Ready<_>, ErrorsAsFailures, MenuFuture> =
        client.service.ready().await.unwrap().call(order("tea"));
    assert_eq!(future.await, Ok("the menu".into()));
}

#[test]
fn layer_service_and_future_implement_the_markers_of_the_fallback_and_its_future() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    fn is_clone<T: Clone>() {}
    fn is_unpin<T: Unpin>() {}
    fn is_static<T: 'static>() {}
    fn is_debug<T: Debug>() {}
    /// `Send` and `Unpin`, but not `Sync`, `Clone` or `Debug`.
    struct SendOnly(Cell<()>);
    /// Everything except `Send` and `Sync`.
    #[derive(Clone)]
    struct Local(#[expect(dead_code, reason = "for the type")] Rc<()>);
    /// Not `Unpin`.
    struct Pinned(PhantomPinned);

    type Layer<F> = CircuitBreakerLayer<ErrorsAsFailures, F>;
    is_send::<Layer<SendOnly>>();
    is_clone::<Layer<Local>>();
    is_debug::<Layer<SendOnly>>();
    type Service<F> = CircuitBreakerService<(), ErrorsAsFailures, F>;
    is_send::<Service<SendOnly>>();
    is_sync::<Service<NoFallback>>();
    is_clone::<Service<Local>>();
    is_debug::<Service<SendOnly>>();
    is_unpin::<Service<SendOnly>>();
    type Future<R> = ResponseFuture<(), ErrorsAsFailures, R>;
    is_send::<Future<SendOnly>>();
    is_sync::<Future<()>>();
    is_unpin::<Future<SendOnly>>();
    is_static::<Future<SendOnly>>();
    is_debug::<Future<Pinned>>();

    // The default requires nothing of the response and the error.
    type NoAnswer = RejectedFuture<Local, Local>;
    is_send::<NoAnswer>();
    is_sync::<NoAnswer>();
    is_unpin::<NoAnswer>();
    is_debug::<NoAnswer>();
    is_debug::<NoFallback>();
    is_clone::<NoFallback>();
    is_static::<NoFallback>();
}
