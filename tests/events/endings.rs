//! Events about how calls end.

use std::future::{Ready, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, Ending, HalfOpen, Interest,
    Outcome, Permit, SlidingWindow,
};

use crate::{Ended, Log, MS, SECOND, advance, observed, permit, sensitive};

/// All ways in which a call can end. `None` stands for a permit that is dropped.
const OUTCOMES: [Option<Outcome>; 5] = [
    Some(Outcome::Success),
    Some(Outcome::Failure),
    Some(Outcome::SoftFailure),
    Some(Outcome::Ignored),
    None,
];

fn end(call: Permit, outcome: Option<Outcome>) {
    match outcome {
        Some(outcome) => call.record(outcome),
        None => drop(call),
    }
}

#[tokio::test(start_paused = true)]
async fn every_way_to_end_is_reported_with_its_duration() {
    let (breaker, log) = observed(sensitive().consecutive_failures(100));
    let mut expected = Vec::new();
    for (length, outcome, ending) in [
        (3 * MS, Some(Outcome::Success), Ending::Success),
        (5 * MS, Some(Outcome::Failure), Ending::Failure),
        (7 * MS, Some(Outcome::Ignored), Ending::Ignored),
        (Duration::from_nanos(1), None, Ending::Abandoned),
        (Duration::ZERO, Some(Outcome::Success), Ending::Success),
        (MS, Some(Outcome::SoftFailure), Ending::SoftFailure),
        (MS, Some(Outcome::FailureRetryAfter(SECOND)), Ending::Failure),
    ] {
        let call = permit(&breaker);
        advance(length).await;
        end(call, outcome);
        expected.push(Ended::in_time(ending, length));
    }
    let call = permit(&breaker);
    advance(SECOND).await;
    call.failure_retry_after(SECOND);
    expected.push(Ended::in_time(Ending::Failure, SECOND));
    assert_eq!(log.ended(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_the_service_is_timed_from_call_and_reported_when_it_ends() {
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
        assert_eq!(log.ended(), [Ended::in_time(Ending::Success, 7 * MS)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_or_after_its_first_poll_is_abandoned() {
    let (breaker, log) = observed(sensitive());
    let inner = service_fn(|()| pending::<Result<(), ()>>());
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
    for polled in [false, true] {
        service.ready().await.unwrap();
        let mut call = task::spawn(service.call(()));
        if polled {
            assert_pending!(call.poll());
        }
        advance(MS).await;
        drop(call);
        assert_eq!(log.ended(), [Ended::in_time(Ending::Abandoned, MS)]);
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
async fn a_panic_in_call_or_in_the_future_is_reported_as_a_failure() {
    let (breaker, log) = observed(sensitive().consecutive_failures(100));
    let in_call = service_fn(|()| -> Ready<Result<(), ()>> { panic!("on purpose") });
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(in_call);
    service.ready().await.unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| service.call(()))).is_err());
    assert_eq!(log.ended(), [Ended::in_time(Ending::Failure, Duration::ZERO)]);

    let in_future = service_fn(|()| async { panic!("on purpose") as Result<(), ()> });
    let mut call =
        task::spawn(CircuitBreakerLayer::new(breaker.clone()).layer(in_future).oneshot(()));
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
    drop(call);
    assert_eq!(log.ended(), [Ended::in_time(Ending::Failure, Duration::ZERO)]);
}

#[tokio::test(start_paused = true)]
async fn a_classifier_that_panics_abandons_the_call() {
    let (breaker, log) = observed(sensitive());
    let layer = CircuitBreakerLayer::new(breaker)
        .classifier(|_: Result<&(), &()>| -> Outcome { panic!("on purpose") });
    let mut call = task::spawn(layer.layer(service_fn(|()| async { Ok(()) })).oneshot(()));
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
    assert_eq!(log.ended(), [Ended::in_time(Ending::Abandoned, Duration::ZERO)]);
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
        end(call, outcome);
        let [ended] = log.ended().try_into().expect("one call");
        assert_eq!((ended.is_slow, ended.duration), (is_slow, Some(length)), "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_duration_is_not_reported_unless_a_listener_or_a_rule_needs_it() {
    let duration_of_a_call = async |builder: CircuitBreakerBuilder| {
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

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_after_its_period_is_stale_whatever_its_result() {
    type Act = fn(&CircuitBreaker);
    let acts: [Act; 4] = [
        |breaker| breaker.trip(),
        |breaker| breaker.reset(), // not a transition
        |breaker| breaker.force_open(),
        |breaker| {
            breaker.trip();
            breaker.force_closed();
        },
    ];
    // With these rules, a success has no effect, is counted without the lock, is logged, or takes the lock.
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
                act(&breaker);
                log.take();
                end(call, outcome);
                let [ended] = log.ended().try_into().expect("one call");
                assert!(ended.is_stale, "{outcome:?} {builder:?}");
                breaker.reset();
                breaker.resume();
                breaker.reset();
                end(permit(&breaker), outcome);
                let [ended] = log.ended().try_into().expect("one call");
                assert!(!ended.is_stale, "{outcome:?} {builder:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_ends_after_its_time_or_after_another_has_failed_is_stale() {
    for outcome in OUTCOMES {
        let builder =
            sensitive().half_open(HalfOpen::consecutive_successes(3)).probe_timeout(SECOND);
        let (breaker, log) = observed(builder);
        breaker.trip();
        advance(SECOND).await;
        let (first, second, third) = (permit(&breaker), permit(&breaker), permit(&breaker));
        first.success();
        second.failure();
        end(third, outcome);
        let stale = |log: &Log| log.ended().iter().map(|ended| ended.is_stale).collect::<Vec<_>>();
        assert_eq!(stale(&log), [false, false, true], "{outcome:?}");

        advance(SECOND).await;
        let late = permit(&breaker);
        advance(SECOND).await;
        end(late, outcome);
        assert_eq!(stale(&log), [true], "{outcome:?}");
    }
}
