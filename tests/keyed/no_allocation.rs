//! A call whose circuit the registry already has allocates nothing.

use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::Request;
use tower::{Layer, Service, service_fn};
use tower_breaker::keyed::KeyedLayer;

use crate::{builder, numbered};

/// Makes one call through the service. Returns whether it succeeded.
fn call<R, S: Service<R>>(service: &mut S, request: R) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    match pin!(service.call(request)).poll(&mut cx) {
        Poll::Ready(result) => result.is_ok(),
        Poll::Pending => unreachable!("the inner service answers at once"),
    }
}

fn answer<R>(_: R) -> Ready<Result<(), ()>> {
    ready(Ok(()))
}

#[test]
fn a_call_by_a_key_allocates_nothing() {
    let circuits = numbered(10);
    let mut service =
        KeyedLayer::new(circuits.clone(), |key: &u32| *key).layer(service_fn(answer::<u32>));
    assert!(call(&mut service, 1));
    let made = allocation_counter::measure(|| {
        for _ in 0..100 {
            assert!(call(&mut service, 1));
        }
    });
    assert_eq!(made.count_total, 0);

    circuits.get_or_create(&1).trip();
    let made = allocation_counter::measure(|| assert!(!call(&mut service, 1)));
    assert_eq!(made.count_total, 0, "a rejection allocates nothing either");
}

#[test]
fn a_call_by_host_allocates_nothing() {
    let longest = "x".repeat(200);
    let uris = ["http://user@Example.COM/", "https://[::1]:8080/", &format!("http://{longest}/")];
    for uri in uris {
        let mut service = KeyedLayer::by_host(builder().build().unwrap())
            .layer(service_fn(answer::<Request<()>>));
        let request = || Request::get(uri).body(()).unwrap();
        assert!(call(&mut service, request()));
        let again = request();
        let made = allocation_counter::measure(|| assert!(call(&mut service, again)));
        assert_eq!(made.count_total, 0, "{uri}");
    }
}
