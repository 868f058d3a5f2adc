//! Point 11: no lock is held while user code runs, so user code may use the breaker and may panic. These
//! tests would deadlock if a lock were held.

use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Outcome, State, Transition};

use crate::{SECOND, advance, permit, sensitive, until_half_open};

/// Calls every method of the breaker.
fn use_it(breaker: &CircuitBreaker) {
    let _ = breaker.snapshot();
    drop(breaker.try_acquire());
    breaker.force_open();
    breaker.force_closed();
    breaker.resume();
    breaker.trip();
    breaker.reset();
}

#[tokio::test(start_paused = true)]
async fn a_classifier_may_use_the_breaker() {
    let breaker = sensitive().build().unwrap();
    until_half_open(&breaker).await;
    let used = breaker.clone();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(move |_: Result<&(), &()>| {
        use_it(&used);
        Outcome::Failure
    });
    let service = layer.layer(service_fn(|()| async { Ok(()) }));
    service.oneshot(()).await.unwrap();
    assert_eq!(breaker.state(), State::Closed, "the result is stale after the reset");
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_may_use_the_breaker() {
    let breaker = sensitive().build().unwrap();
    let used = breaker.clone();
    let inner = service_fn(move |()| {
        use_it(&used);
        let used = used.clone();
        async move {
            use_it(&used);
            Ok::<(), ()>(())
        }
    });
    CircuitBreakerLayer::new(breaker.clone()).layer(inner).oneshot(()).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_use_the_breaker() {
    let own = Arc::new(OnceLock::<CircuitBreaker>::new());
    let breaker = own.clone();
    let breaker = sensitive()
        .on_transition(move |transition| {
            if transition.to() == State::Open {
                breaker.get().unwrap().reset();
                let _ = breaker.get().unwrap().snapshot();
            }
        })
        .build()
        .unwrap();
    own.set(breaker.clone()).unwrap();
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_affects_nobody_else() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let other = received.clone();
    let breaker = sensitive()
        .on_transition(|_: &Transition| panic!("on purpose"))
        .on_transition(move |transition| other.lock().unwrap().push(transition.to_string()))
        .build()
        .unwrap();
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Open);
    advance(SECOND).await;
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(
        *received.lock().unwrap(),
        [
            "test: closed -> open (1 failure in a row), next probe in 1.0s",
            "test: open -> half-open (the wait is over)",
            "test: half-open -> closed (the probes succeeded)",
        ]
    );
}

/// A waker that uses the breaker.
struct Using(CircuitBreaker);

impl Wake for Using {
    fn wake(self: Arc<Self>) {
        use_it(&self.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_may_use_the_breaker() {
    let breaker = sensitive().build().unwrap();
    let never_ready = tower::service_fn(|()| async { Ok::<(), ()>(()) });
    let never_ready = tower::limit::ConcurrencyLimit::new(never_ready, 0);
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(never_ready);
    let waker = Waker::from(Arc::new(Using(breaker.clone())));
    let mut cx = Context::from_waker(&waker);
    assert!(matches!(service.poll_ready(&mut cx), Poll::Pending));
    breaker.trip();
    assert_eq!(breaker.state(), State::Closed, "the waker has reset it");
}

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_does_not_keep_others_from_being_woken() {
    let breaker = sensitive().build().unwrap();
    breaker.force_open();
    let mut first = std::pin::pin!(breaker.acquire());
    let waker = Waker::from(Arc::new(Panicking));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut second = tokio_test::task::spawn(breaker.acquire());
    assert!(second.poll().is_pending());
    breaker.force_closed();
    assert!(second.is_woken());
}

/// An error that uses the breaker when it is dropped.
#[derive(Debug)]
struct Dropped(CircuitBreaker);

impl Drop for Dropped {
    fn drop(&mut self) {
        use_it(&self.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_may_use_the_breaker_when_it_is_dropped() {
    let breaker = sensitive().build().unwrap();
    let failed = breaker.call(async { Err::<(), _>(Dropped(breaker.clone())) }).await;
    assert_eq!(breaker.state(), State::Open);
    drop(failed);
    assert_eq!(breaker.state(), State::Closed);
}
