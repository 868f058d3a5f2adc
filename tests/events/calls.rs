//! What single calls do: rejections, probes, and how calls end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreakerLayer, Ending, HalfOpen, Interest, Outcome, RejectReason, SlidingWindow,
};

use crate::{Ended, Log, MS, SECOND, Told, advance, observed, permit, sensitive};

fn rejections(log: &Log) -> Vec<RejectReason> {
    let rejections = log.take().into_iter().filter_map(|told| match told {
        Told::Rejected(rejected) => Some(rejected.reason()),
        _ => None,
    });
    rejections.collect()
}

fn probes(log: &Log) -> usize {
    log.take().into_iter().filter(|told| *told == Told::ProbeAdmitted).count()
}

fn after(ending: Ending, duration: Duration) -> Ended {
    Ended { ending, duration: Some(duration), is_slow: false, is_stale: false }
}

// ---- rejections -------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_rejection_is_told_once_and_is_the_one_that_the_caller_gets() {
    let (breaker, log) = observed(sensitive());
    let service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    breaker.trip();
    advance(300 * MS).await;
    log.take();

    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(log.take(), [Told::Rejected(rejected)]);
    let error = breaker.call(async { Ok::<(), ()>(()) }).await.unwrap_err();
    assert_eq!(log.take(), [Told::Rejected(error.rejected().unwrap().clone())]);
    let error = service.oneshot(()).await.unwrap_err();
    assert_eq!(log.take(), [Told::Rejected(error.rejected().unwrap().clone())]);
}

#[tokio::test(start_paused = true)]
async fn every_reason_of_a_rejection_is_told() {
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
async fn a_rejection_between_poll_ready_and_call_is_told_by_call() {
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
async fn a_rejection_that_poll_ready_has_in_store_is_told_only_if_it_is_called_for() {
    let (breaker, log) = observed(sensitive());
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    breaker.trip();
    service.ready().await.unwrap();
    drop(service);
    assert_eq!(rejections(&log), []);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_admission_is_not_rejected() {
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

#[tokio::test(start_paused = true)]
async fn an_error_of_poll_ready_that_nobody_admits_is_not_told_as_a_rejection() {
    let (breaker, log) = observed(sensitive());
    let used = breaker.clone();
    // It trips the circuit while it is asked for readiness, and then fails.
    let inner = service_fn(|()| async { Ok::<(), ()>(()) });
    let inner = tower::util::MapErr::new(inner, |()| "not ready");
    struct Fails<S>(S, tower_breaker::CircuitBreaker);
    impl<S: Service<(), Error = &'static str>> Service<()> for Fails<S> {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            self.1.trip();
            std::task::Poll::Ready(Err("not ready"))
        }

        fn call(&mut self, request: ()) -> S::Future {
            self.0.call(request)
        }
    }
    let service = CircuitBreakerLayer::new(breaker).layer(Fails(inner, used));
    service.oneshot(()).await.unwrap_err();
    assert_eq!(rejections(&log), []);
}

// ---- probes -----------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_probe_is_told_when_it_is_admitted() {
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
async fn a_probe_that_has_its_place_from_poll_ready_is_told_when_its_call_begins() {
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
async fn a_place_that_is_given_back_was_no_probe() {
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
async fn a_place_whose_time_is_over_is_no_probe_but_a_rejection() {
    let (breaker, log) = observed(sensitive().probe_timeout(SECOND));
    breaker.trip();
    advance(SECOND).await;
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|()| async { Ok::<(), ()>(()) }));
    service.ready().await.unwrap();
    advance(1500 * MS).await;
    log.take();
    service.call(()).await.unwrap_err();
    let told = log.take();
    assert!(
        matches!(&told[..], [Told::ProbeTimedOut, Told::Transition(_), Told::Rejected(_)]),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_fails_to_become_ready_is_a_call_that_is_told() {
    let (breaker, log) = observed(sensitive());
    let (inner, mut handle) = tower_test::mock::pair::<(), ()>();
    handle.send_error("not ready");
    breaker.trip();
    advance(SECOND).await;
    log.take();
    let service = CircuitBreakerLayer::new(breaker).layer(inner);
    service.oneshot(()).await.unwrap_err();
    let told = log.take();
    let expected = after(Ending::Failure, Duration::ZERO);
    let [Told::Transition(_), Told::ProbeAdmitted, Told::Transition(_), Told::Settled(ended)] =
        &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(*ended, expected);
}

// ---- calls that end ---------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn every_way_to_end_is_told_with_its_duration() {
    let (breaker, log) = observed(sensitive().consecutive_failures(100));
    let mut expected = Vec::new();
    for (length, outcome, ending) in [
        (3 * MS, Some(Outcome::Success), Ending::Success),
        (5 * MS, Some(Outcome::Failure), Ending::Failure),
        (7 * MS, Some(Outcome::Ignored), Ending::Ignored),
        (Duration::from_nanos(1), None, Ending::Abandoned),
        (Duration::ZERO, Some(Outcome::Success), Ending::Success),
    ] {
        let call = permit(&breaker);
        advance(length).await;
        match outcome {
            Some(outcome) => call.record(outcome),
            None => drop(call),
        }
        expected.push(after(ending, length));
    }
    let call = permit(&breaker);
    advance(SECOND).await;
    call.failure_retry_after(SECOND);
    expected.push(after(Ending::Failure, SECOND));
    assert_eq!(log.ended(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_the_service_is_timed_from_call_on_and_told_when_it_ends() {
    let (breaker, log) = observed(sensitive());
    for half_open in [false, true] {
        if half_open {
            breaker.trip();
            advance(SECOND).await;
        }
        let inner = service_fn(|()| async {
            tokio::time::sleep(7 * MS).await;
            Ok::<(), ()>(())
        });
        let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
        service.ready().await.unwrap();
        advance(20 * MS).await;
        let call = service.call(());
        assert_eq!(log.ended(), []);
        call.await.unwrap();
        assert_eq!(log.ended(), [after(Ending::Success, 7 * MS)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_or_after_its_first_poll_is_abandoned() {
    let (breaker, log) = observed(sensitive());
    let inner = service_fn(|()| std::future::pending::<Result<(), ()>>());
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
    for polled in [false, true] {
        service.ready().await.unwrap();
        let mut call = task::spawn(service.call(()));
        if polled {
            assert_pending!(call.poll());
        }
        advance(MS).await;
        drop(call);
        assert_eq!(log.ended(), [after(Ending::Abandoned, MS)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_abandoned_so_late_that_it_counts_has_failed() {
    let builder = sensitive().consecutive_failures(2).abandoned_after(SECOND);
    let (breaker, log) = observed(builder);
    let (early, late) = (permit(&breaker), permit(&breaker));
    advance(SECOND - Duration::from_nanos(1)).await;
    drop(early);
    advance(Duration::from_nanos(1)).await;
    drop(late);
    let endings: Vec<Ending> = log.ended().iter().map(|ended| ended.ending).collect();
    assert_eq!(endings, [Ending::Abandoned, Ending::Failure]);
    assert_eq!(breaker.snapshot().consecutive_failures(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_call_or_in_the_future_is_told_as_a_failure() {
    let (breaker, log) = observed(sensitive().consecutive_failures(100));
    let in_call = service_fn(|()| -> std::future::Ready<Result<(), ()>> { panic!("on purpose") });
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(in_call);
    service.ready().await.unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| service.call(()))).is_err());
    assert_eq!(log.ended(), [after(Ending::Failure, Duration::ZERO)]);

    let in_future = service_fn(|()| async { panic!("on purpose") as Result<(), ()> });
    let mut call =
        task::spawn(CircuitBreakerLayer::new(breaker.clone()).layer(in_future).oneshot(()));
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
    drop(call);
    assert_eq!(log.ended(), [after(Ending::Failure, Duration::ZERO)]);
}

#[tokio::test(start_paused = true)]
async fn a_classifier_that_panics_abandons_the_call() {
    let (breaker, log) = observed(sensitive());
    let layer = CircuitBreakerLayer::new(breaker)
        .classifier(|_: Result<&(), &()>| -> Outcome { panic!("on purpose") });
    let mut call = task::spawn(layer.layer(service_fn(|()| async { Ok(()) })).oneshot(()));
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
    assert_eq!(log.ended(), [after(Ending::Abandoned, Duration::ZERO)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_slow_if_it_has_an_outcome_and_takes_at_least_the_slow_call_duration() {
    let builder = sensitive().consecutive_failures(100).slow_call_duration_threshold(SECOND);
    let (breaker, log) = observed(builder);
    let just_before = SECOND - Duration::from_nanos(1);
    for (length, outcome, is_slow) in [
        (just_before, Some(Outcome::Success), false),
        (SECOND, Some(Outcome::Success), true),
        (SECOND, Some(Outcome::Failure), true),
        (SECOND, Some(Outcome::Ignored), false),
        (SECOND, None, false),
    ] {
        let call = permit(&breaker);
        advance(length).await;
        match outcome {
            Some(outcome) => call.record(outcome),
            None => drop(call),
        }
        let [ended] = log.ended().try_into().expect("one call");
        assert_eq!((ended.is_slow, ended.duration), (is_slow, Some(length)), "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_duration_is_not_told_if_nobody_wants_it_and_no_rule_needs_it() {
    let duration_of_a_call = async |builder: tower_breaker::CircuitBreakerBuilder| {
        let log = Log::new(Interest::Calls);
        let breaker = builder.listener(log.clone()).build().unwrap();
        for half_open in [false, true] {
            if half_open {
                breaker.trip();
                advance(SECOND).await;
            }
            let call = permit(&breaker);
            advance(MS).await;
            call.success();
        }
        let [closed, half_open] = log.ended().try_into().expect("two calls");
        assert_eq!(closed.duration, half_open.duration);
        closed.duration
    };
    assert_eq!(duration_of_a_call(sensitive()).await, None);
    assert_eq!(duration_of_a_call(sensitive().abandoned_after(SECOND)).await, Some(MS));
    let slow = sensitive().slow_call_duration_threshold(SECOND);
    assert_eq!(duration_of_a_call(slow).await, Some(MS));
    let wanted = sensitive().on_event(|_| ());
    assert_eq!(duration_of_a_call(wanted).await, Some(MS));
}

/// All ways to end.
const OUTCOMES: [Option<Outcome>; 4] =
    [Some(Outcome::Success), Some(Outcome::Failure), Some(Outcome::Ignored), None];

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_after_its_period_is_stale_whatever_its_result() {
    type Act = fn(&tower_breaker::CircuitBreaker);
    let acts: [Act; 4] = [
        |breaker| breaker.trip(),
        |breaker| breaker.reset(), // which is no transition
        |breaker| breaker.force_open(),
        |breaker| {
            breaker.trip();
            breaker.force_closed();
        },
    ];
    // With rules under which a success changes nothing, is counted without the lock, or takes it.
    let rules = [
        sensitive(),
        sensitive().failure_rate_threshold(1.0),
        sensitive().failure_rate_threshold(1.0).sliding_window(SlidingWindow::count(10)),
        sensitive().slow_call_duration_threshold(SECOND).abandoned_after(SECOND),
    ];
    for builder in rules {
        for act in acts {
            for outcome in OUTCOMES {
                let (breaker, log) = observed(builder.clone());
                permit(&breaker).success();
                let call = permit(&breaker);
                let end = |call: tower_breaker::Permit| match outcome {
                    Some(outcome) => call.record(outcome),
                    None => drop(call),
                };
                act(&breaker);
                log.take();
                end(call);
                let [ended] = log.ended().try_into().expect("one call");
                assert!(ended.is_stale, "{outcome:?} {builder:?}");
                breaker.reset();
                breaker.resume();
                breaker.reset();
                end(permit(&breaker));
                let [ended] = log.ended().try_into().expect("one call");
                assert!(!ended.is_stale, "{outcome:?} {builder:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_ends_after_its_time_or_beside_a_failed_one_is_stale() {
    for outcome in OUTCOMES {
        let builder =
            sensitive().half_open(HalfOpen::consecutive_successes(3)).probe_timeout(SECOND);
        let (breaker, log) = observed(builder);
        breaker.trip();
        advance(SECOND).await;
        let (first, second, third) = (permit(&breaker), permit(&breaker), permit(&breaker));
        first.success();
        second.failure();
        let end = |call: tower_breaker::Permit| match outcome {
            Some(outcome) => call.record(outcome),
            None => drop(call),
        };
        end(third);
        let stale = |log: &Log| log.ended().iter().map(|ended| ended.is_stale).collect::<Vec<_>>();
        assert_eq!(stale(&log), [false, false, true], "{outcome:?}");

        advance(SECOND).await;
        let late = permit(&breaker);
        advance(SECOND).await;
        end(late);
        assert_eq!(stale(&log), [true], "{outcome:?}");
    }
}
