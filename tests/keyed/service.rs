//! The layer and its service: readiness, classifiers, fallbacks and panics.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use tower::limit::ConcurrencyLimit;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::keyed::KeyedLayer;
use tower_breaker::{CircuitBreakerError, Outcome, Rejected, State};
use tower_test::mock;

use crate::numbered;

/// A request: its key and what the inner service answers.
type Answer = (u32, Result<u32, &'static str>);

fn key(request: &Answer) -> u32 {
    request.0
}

async fn inner((_, answer): Answer) -> Result<u32, &'static str> {
    answer
}

#[tokio::test]
async fn a_failing_key_opens_only_its_own_circuit() {
    let layer = KeyedLayer::new(numbered(10), key);
    let mut service = layer.layer(service_fn(inner));
    assert_eq!(service.registry().len(), 0);

    let failed = service.ready().await.unwrap().call((1, Err("refused"))).await;
    assert_eq!(failed, Err(CircuitBreakerError::Inner("refused")));
    let rejected = service.ready().await.unwrap().call((1, Ok(1))).await.unwrap_err();
    assert_eq!(rejected.rejected().unwrap().breaker(), "api/1");
    assert_eq!(service.ready().await.unwrap().call((2, Ok(2))).await, Ok(2));
    assert_eq!(layer.registry().len(), 2);
}

#[tokio::test]
async fn all_services_of_a_layer_share_its_circuits() {
    let layer = KeyedLayer::new(numbered(10), key);
    layer.layer(service_fn(inner)).oneshot((1, Err("refused"))).await.unwrap_err();
    let again = layer.clone().layer(service_fn(inner)).oneshot((1, Ok(1))).await;
    assert!(again.unwrap_err().rejected().is_some());
}

#[tokio::test]
async fn the_classifier_decides_what_counts_as_a_failure() {
    let circuits = numbered(10);
    let layer =
        KeyedLayer::new(circuits.clone(), key).classifier(|result: Result<&u32, &&'static str>| {
            match result {
                Ok(n) if *n >= 500 => Outcome::Failure,
                _ => Outcome::Success,
            }
        });
    let service = layer.layer(service_fn(inner));
    service.clone().oneshot((1, Err("not found"))).await.unwrap_err();
    service.oneshot((2, Ok(503))).await.unwrap();
    assert_eq!(circuits.get(&1).unwrap().state(), State::Closed);
    assert_eq!(circuits.get(&2).unwrap().state(), State::Open);
}

#[tokio::test]
async fn the_fallback_gets_the_request_and_the_name_of_the_circuit() {
    let circuits = numbered(10);
    let layer = KeyedLayer::new(circuits.clone(), key).fallback(
        |(key, _): Answer, rejected: Rejected| async move {
            assert_eq!(rejected.breaker(), format!("api/{key}"));
            Ok(1000 + key)
        },
    );
    let service = layer.layer(service_fn(inner));
    assert_eq!(service.clone().oneshot((7, Ok(7))).await, Ok(7));
    circuits.get(&7).unwrap().trip();
    assert_eq!(service.oneshot((7, Ok(7))).await, Ok(1007));
}

#[tokio::test]
async fn the_service_is_ready_when_the_inner_service_is() {
    let (inner, mut handle) = mock::pair::<u32, u32>();
    let mut service = KeyedLayer::new(numbered(10), |key: &u32| *key).layer(inner);
    service.registry().get_or_create(&1).trip();

    handle.allow(0);
    let mut asked = tokio_test::task::spawn(poll_fn(|cx| service.poll_ready(cx)));
    assert!(asked.poll().is_pending(), "there is no request yet, hence no key");
    handle.allow(1);
    assert!(asked.is_woken());
    assert!(asked.poll().is_ready());
    drop(asked);
    assert!(service.call(1).await.unwrap_err().rejected().is_some());
}

#[tokio::test]
async fn an_error_of_poll_ready_counts_for_no_circuit() {
    let (inner, mut handle) = mock::pair::<u32, u32>();
    let mut service = KeyedLayer::new(numbered(10), |key: &u32| *key).layer(inner);
    handle.send_error("no more");
    let error = poll_fn(|cx| service.poll_ready(cx)).await.unwrap_err();
    assert!(matches!(error, CircuitBreakerError::Inner(_)));
    assert!(service.registry().is_empty());
}

#[tokio::test]
async fn a_rejected_call_leaves_the_inner_service_ready() {
    let inner = ConcurrencyLimit::new(service_fn(inner), 1);
    let mut service = KeyedLayer::new(numbered(10), key).layer(inner);
    service.registry().get_or_create(&1).trip();
    for _ in 0..3 {
        service.ready().await.unwrap().call((1, Ok(1))).await.unwrap_err();
        assert_eq!(service.ready().await.unwrap().call((2, Ok(2))).await, Ok(2));
    }
}

#[tokio::test]
async fn a_call_without_readiness_panics() {
    let panics = |service: &mut BoxCloneSyncService<_, _, _>| {
        catch_unwind(AssertUnwindSafe(|| drop(service.call((1, Ok(1)))))).is_err()
    };
    let service = KeyedLayer::new(numbered(10), key).layer(service_fn(inner));
    let mut service = BoxCloneSyncService::new(service);
    assert!(panics(&mut service));
    service.ready().await.unwrap();
    assert!(panics(&mut service.clone()), "a clone starts without readiness");
    assert!(!panics(&mut service));
    assert!(panics(&mut service), "readiness is good for one call");
}

/// A service whose `poll_ready` returns a fixed value and whose `call` always succeeds.
struct Says(Poll<Result<(), ()>>);

impl Service<u32> for Says {
    type Response = ();
    type Error = ();
    type Future = Ready<Result<(), ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.0
    }

    fn call(&mut self, _: u32) -> Self::Future {
        ready(Ok(()))
    }
}

#[test]
fn an_inner_service_that_is_not_ready_is_not_called() {
    for (poll, may_call) in
        [(Poll::Ready(Ok(())), true), (Poll::Pending, false), (Poll::Ready(Err(())), false)]
    {
        let mut service = KeyedLayer::new(numbered(10), |n: &u32| *n).layer(Says(poll));
        let _ = service.poll_ready(&mut Context::from_waker(Waker::noop()));
        let call = catch_unwind(AssertUnwindSafe(|| drop(service.call(1))));
        assert_eq!(call.is_ok(), may_call, "{poll:?}");
    }
}

#[tokio::test]
async fn a_picker_that_panics_affects_no_circuit() {
    let fussy = |request: &Answer| {
        assert_ne!(request.0, 13, "unlucky");
        request.0
    };
    let inner = ConcurrencyLimit::new(service_fn(inner), 1);
    let mut service = KeyedLayer::new(numbered(10), fussy).layer(inner);
    service.ready().await.unwrap();
    let call = catch_unwind(AssertUnwindSafe(|| drop(service.call((13, Ok(1))))));
    assert!(call.is_err());
    assert!(service.registry().is_empty());
    assert_eq!(service.ready().await.unwrap().call((1, Ok(1))).await, Ok(1));
}

#[tokio::test]
async fn a_panic_of_the_inner_service_is_a_failure_of_the_circuit_of_its_key() {
    let inner = service_fn(|n: u32| {
        assert_ne!(n, 13, "unlucky");
        ready(Ok::<_, Infallible>(n))
    });
    let mut service = KeyedLayer::new(numbered(10), |n: &u32| *n).layer(inner);
    service.ready().await.unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(service.call(13)))).is_err());
    let state = |key: u32| service.registry().get(&key).map(|breaker| breaker.state());
    assert_eq!(state(13), Some(State::Open));
    assert_eq!(service.clone().oneshot(1).await, Ok(1));
}

#[tokio::test]
async fn the_layer_fits_between_other_layers() {
    let service = ServiceBuilder::new()
        .boxed_clone()
        .map_err(tower::BoxError::from)
        .layer(KeyedLayer::new(numbered(10), |n: &u32| *n))
        .buffer(1)
        .service(service_fn(|n: u32| ready(Ok::<_, io::Error>(n))));
    assert_eq!(service.oneshot(7).await.unwrap(), 7);
}
