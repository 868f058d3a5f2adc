//! Which calls are reported as rejected, and which as probes.

use std::future::Ready;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Ending, HalfOpen, RejectReason};

use crate::{Ended, Log, MS, Reported, SECOND, advance, observed, permit, sensitive};

fn rejections(log: &Log) -> Vec<RejectReason> {
    let rejections = log.take().into_iter().filter_map(|reported| match reported {
        Reported::Rejected(rejected) => Some(rejected.reason()),
        _ => None,
    });
    rejections.collect()
}

fn probes(log: &Log) -> usize {
    log.take().into_iter().filter(|reported| *reported == Reported::ProbeAdmitted).count()
}

// ---- rejections -------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_rejection_is_reported_once_and_is_the_one_that_the_caller_gets() {
    let (breaker, log) = observed(sensitive());
    let service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    breaker.trip();
    advance(300 * MS).await;
    log.take();

    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(log.take(), [Reported::Rejected(rejected)]);
    let error = breaker.call(async { Ok::<(), ()>(()) }).await.unwrap_err();
    assert_eq!(log.take(), [Reported::Rejected(error.rejected().unwrap().clone())]);
    let error = service.oneshot(()).await.unwrap_err();
    assert_eq!(log.take(), [Reported::Rejected(error.rejected().unwrap().clone())]);
}

#[tokio::test(start_paused = true)]
async fn every_reason_of_a_rejection_is_reported() {
    let (breaker, log) = observed(sensitive());
    breaker.trip();
    drop(breaker.try_acquire());
    advance(SECOND).await;
    let _probe = permit(&breaker);
    drop(breaker.try_acquire());
    breaker.force_open();
    drop(breaker.try_acquire());
    let reasons = [RejectReason::Open, RejectReason::HalfOpen, RejectReason::ForcedOpen];
    assert_eq!(rejections(&log), reasons);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_between_poll_ready_and_call_is_reported_by_call() {
    let (breaker, log) = observed(sensitive());
    for layer in [
        CircuitBreakerLayer::new(breaker.clone()),
        CircuitBreakerLayer::new(breaker.clone()).backpressure(),
    ] {
        let mut service = layer.layer(service_fn(|()| async { Ok::<(), ()>(()) }));
        service.ready().await.unwrap();
        breaker.trip();
        assert_eq!(rejections(&log), []);
        service.call(()).await.unwrap_err();
        assert_eq!(rejections(&log), [RejectReason::Open]);
        breaker.reset();
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_poll_ready_has_decided_is_reported_only_by_call() {
    let (breaker, log) = observed(sensitive());
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    breaker.trip();
    service.ready().await.unwrap();
    drop(service);
    assert_eq!(rejections(&log), []);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_for_admission_is_not_rejected() {
    let (breaker, log) = observed(sensitive());
    breaker.trip();
    let layer = CircuitBreakerLayer::new(breaker.clone()).backpressure();
    let service = layer.layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    let mut backpressure = task::spawn(service.oneshot(()));
    let mut acquire = task::spawn(breaker.acquire());
    for _ in 0..4 {
        assert_pending!(backpressure.poll());
        assert_pending!(acquire.poll());
        advance(100 * MS).await;
    }
    breaker.force_open();
    assert_pending!(backpressure.poll());
    breaker.force_closed();
    assert_ready_ok!(backpressure.poll());
    acquire.await.success();
    assert_eq!(rejections(&log), []);
}

/// A service that trips the circuit while it fails to become ready.
struct Trips(CircuitBreaker);

impl Service<()> for Trips {
    type Response = ();
    type Error = &'static str;
    type Future = Ready<Result<(), &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.trip();
        Poll::Ready(Err("not ready"))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        unreachable!("it is never ready")
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_poll_ready_that_is_not_counted_is_not_reported_as_a_rejection() {
    let (breaker, log) = observed(sensitive());
    let service = CircuitBreakerLayer::new(breaker.clone()).layer(Trips(breaker));
    service.oneshot(()).await.unwrap_err();
    let reported = log.take();
    assert!(
        matches!(&reported[..], [Reported::Action(_), Reported::Transition(_)]),
        "{reported:?}"
    );
}

// ---- probes -----------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_probe_is_reported_when_it_is_admitted() {
    let (breaker, log) = observed(sensitive().half_open(HalfOpen::consecutive_successes(9)));
    let service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    permit(&breaker).success();
    breaker.trip();
    advance(SECOND).await;
    assert_eq!(probes(&log), 0);
    drop(breaker.try_acquire());
    assert_eq!(probes(&log), 1);
    breaker.acquire().await.success();
    assert_eq!(probes(&log), 1);
    breaker.call(async { Ok::<(), ()>(()) }).await.unwrap();
    assert_eq!(probes(&log), 1);
    service.oneshot(()).await.unwrap();
    assert_eq!(probes(&log), 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_slot_was_taken_by_poll_ready_is_reported_when_its_call_begins() {
    let (breaker, log) = observed(sensitive());
    breaker.trip();
    advance(SECOND).await;
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    service.ready().await.unwrap();
    assert_eq!(probes(&log), 0);
    let call = service.call(());
    assert_eq!(probes(&log), 1);
    call.await.unwrap();
    assert_eq!(probes(&log), 0);
}

#[tokio::test(start_paused = true)]
async fn a_probe_slot_that_is_given_back_is_not_a_probe() {
    let (breaker, log) = observed(sensitive());
    breaker.trip();
    advance(SECOND).await;
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    service.ready().await.unwrap();
    log.take();
    drop(service);
    assert_eq!(log.take(), [], "neither admitted nor settled");
    assert!(breaker.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_has_expired_is_not_a_probe_and_the_call_is_admitted_as_another() {
    let (breaker, log) = observed(sensitive().probe_timeout(SECOND));
    breaker.trip();
    advance(SECOND).await;
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    service.ready().await.unwrap();
    advance(1500 * MS).await;
    log.take();
    service.call(()).await.unwrap();
    let reported = log.take();
    assert!(
        matches!(
            &reported[..],
            [Reported::ProbeAdmitted, Reported::Transition(_), Reported::Settled(_)]
        ),
        "{reported:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_fails_to_become_ready_is_reported_as_a_call() {
    let (breaker, log) = observed(sensitive());
    let (inner, mut handle) = tower_test::mock::pair::<(), ()>();
    handle.send_error("not ready");
    breaker.trip();
    advance(SECOND).await;
    log.take();
    let service = CircuitBreakerLayer::new(breaker).layer(inner);
    service.oneshot(()).await.unwrap_err();
    let reported = log.take();
    let [
        Reported::Transition(_),
        Reported::ProbeAdmitted,
        Reported::Transition(_),
        Reported::Settled(ended),
    ] = &reported[..]
    else {
        panic!("{reported:?}");
    };
    assert_eq!(*ended, Ended::in_time(Ending::Failure, Duration::ZERO));
}
