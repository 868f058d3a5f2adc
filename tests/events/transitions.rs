//! Events about transitions, operator actions and probe timeouts.

use tokio::time::Instant;
use tower_breaker::{
    Backoff, Cause, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Interest, OperatorAction,
    SlidingWindow, State, Transition,
};

use crate::{Log, MS, Reported, SECOND, advance, observed, permit, sensitive};

/// Runs `action`, and returns the one transition that it causes.
#[track_caller]
fn only(log: &Log, action: impl FnOnce()) -> Transition {
    log.take();
    action();
    let [transition] = log.transitions().try_into().expect("one transition");
    transition
}

fn states(transition: &Transition) -> (State, State) {
    (transition.from(), transition.to())
}

/// Makes these calls, each of which is `(failed, slow)`, and returns the cause of the transition that follows.
async fn cause_of(builder: CircuitBreakerBuilder, calls: &[(bool, bool)]) -> Cause {
    let builder = builder.slow_call_duration_threshold(SECOND);
    let (breaker, log) = observed(builder.sliding_window(SlidingWindow::count(4)));
    for &(failed, slow) in calls {
        let call = permit(&breaker);
        advance(if slow { SECOND } else { MS }).await;
        if failed { call.failure() } else { call.success() }
    }
    let [transition] = log.transitions().try_into().expect("one transition");
    assert_eq!(states(&transition), (State::Closed, State::Open));
    transition.cause()
}

#[tokio::test(start_paused = true)]
async fn a_transition_says_which_failure_streak_reached_the_limit() {
    let builder = CircuitBreaker::builder("test").consecutive_failures(3);
    let cause = cause_of(builder, &[(true, false); 3]).await;
    assert_eq!(cause, Cause::ConsecutiveFailures { failures: 3 });
    assert_eq!(cause.rate(), None);
}

#[tokio::test(start_paused = true)]
async fn a_transition_says_which_failure_rate_reached_the_threshold() {
    let builder = CircuitBreaker::builder("test").failure_rate_threshold(0.6);
    let calls = [(true, false), (false, true), (true, false), (true, true)];
    let cause = cause_of(builder, &calls).await;
    assert_eq!(cause, Cause::FailureRate { failures: 3, calls: 4 });
    assert_eq!(cause.rate(), Some(0.75));
}

#[tokio::test(start_paused = true)]
async fn a_transition_says_which_slow_call_rate_reached_the_threshold() {
    let builder = CircuitBreaker::builder("test").slow_call_rate_threshold(0.5);
    let calls = [(true, false), (false, true), (true, false), (false, true)];
    let cause = cause_of(builder, &calls).await;
    assert_eq!(cause, Cause::SlowCallRate { slow_calls: 2, calls: 4 });
    assert_eq!(cause.rate(), Some(0.5));
}

#[tokio::test(start_paused = true)]
async fn a_transition_says_which_rate_a_sample_of_probes_had() {
    let builder = CircuitBreaker::builder("test")
        .failure_rate_threshold(0.5)
        .open_duration(SECOND)
        .half_open(HalfOpen::sample(3));
    let (breaker, log) = observed(builder);
    breaker.trip();
    advance(SECOND).await;
    permit(&breaker).failure();
    permit(&breaker).success();
    let reopened = only(&log, || permit(&breaker).failure());
    assert_eq!(states(&reopened), (State::HalfOpen, State::Open));
    assert_eq!(reopened.cause(), Cause::FailureRate { failures: 2, calls: 3 });
}

#[tokio::test(start_paused = true)]
async fn a_transition_to_open_has_the_wait_and_the_number_of_the_attempt() {
    let wait = Backoff::exponential(SECOND, 3 * SECOND).jitter(0.0);
    let (breaker, log) = observed(sensitive().open_duration(wait));
    for _ in 0..2 {
        for (attempt, wait) in [(1, SECOND), (2, 2 * SECOND), (3, 3 * SECOND), (4, 3 * SECOND)] {
            let opened = only(&log, || {
                let _ = breaker.try_acquire().map(|call| call.failure());
            });
            assert_eq!((opened.attempt(), opened.open_duration()), (Some(attempt), Some(wait)));
            advance(wait).await;
            let probe = permit(&breaker);
            let half_open = log.transitions().remove(0);
            assert_eq!(states(&half_open), (State::Open, State::HalfOpen));
            assert_eq!(half_open.cause(), Cause::WaitOver);
            assert_eq!((half_open.attempt(), half_open.open_duration()), (None, None));
            drop(probe);
        }
        let closed = only(&log, || permit(&breaker).success());
        assert_eq!(states(&closed), (State::HalfOpen, State::Closed));
        assert_eq!(closed.cause(), Cause::ProbesSucceeded);
        assert_eq!((closed.attempt(), closed.open_duration()), (None, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_transition_that_an_operator_forces_has_neither_wait_nor_attempt() {
    let (breaker, log) = observed(sensitive());
    let forced = only(&log, || breaker.force_open());
    assert_eq!((forced.attempt(), forced.open_duration()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn the_wait_of_a_transition_is_the_one_that_was_drawn() {
    let wait = Backoff::constant(100 * SECOND).jitter(0.5);
    let (breaker, log) = observed(sensitive().open_duration(wait));
    for _ in 0..20 {
        let opened = only(&log, || permit(&breaker).failure());
        assert_eq!(opened.open_duration(), breaker.snapshot().retry_after());
        breaker.reset();
    }
}

#[tokio::test(start_paused = true)]
async fn a_transition_says_when_it_happened() {
    let (breaker, log) = observed(sensitive());
    let mut at = Vec::new();
    advance(7 * MS).await;
    at.push(Instant::now());
    permit(&breaker).failure();
    advance(1500 * MS).await;
    at.push(Instant::now());
    let probe = permit(&breaker);
    advance(3 * MS).await;
    at.push(Instant::now());
    probe.success();
    let reported: Vec<Instant> = log.transitions().iter().map(Transition::at).collect();
    assert_eq!(reported, at);
}

#[tokio::test(start_paused = true)]
async fn a_probe_timeout_is_reported_before_its_transition_and_dated_to_the_end_of_the_probes_time()
{
    let (breaker, log) = observed(sensitive().probe_timeout(10 * SECOND));
    breaker.trip();
    advance(SECOND).await;
    let _hangs = permit(&breaker);
    let end = Instant::now() + 10 * SECOND;
    log.take();
    advance(10 * SECOND + 300 * MS).await;
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.retry_after(), Some(700 * MS));
    let reported = log.take();
    let [Reported::ProbeTimedOut, Reported::Transition(opened), Reported::Rejected(_)] =
        &reported[..]
    else {
        panic!("{reported:?}");
    };
    assert_eq!(states(opened), (State::HalfOpen, State::Open));
    assert_eq!((opened.cause(), opened.at()), (Cause::ProbeTimedOut, end));
    assert_eq!((opened.attempt(), opened.open_duration()), (Some(2), Some(SECOND)));
}

#[tokio::test(start_paused = true)]
async fn a_probe_timeout_is_reported_once_however_many_probes_were_in_flight() {
    let builder = sensitive().half_open(HalfOpen::consecutive_successes(3)).probe_timeout(SECOND);
    let (breaker, log) = observed(builder);
    breaker.trip();
    advance(SECOND).await;
    let _hang = [permit(&breaker), permit(&breaker), permit(&breaker)];
    advance(1500 * MS).await;
    (0..3).for_each(|_| drop(breaker.try_acquire()));
    let timed_out = log.take().into_iter().filter(|reported| *reported == Reported::ProbeTimedOut);
    assert_eq!(timed_out.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn reading_the_state_reports_nothing() {
    let (breaker, log) = observed(sensitive().probe_timeout(SECOND));
    breaker.trip();
    advance(SECOND).await;
    let _hangs = permit(&breaker);
    advance(5 * SECOND).await;
    log.take();
    let _ = (breaker.state(), breaker.snapshot(), breaker.history());
    assert_eq!(log.take(), []);
}

#[tokio::test(start_paused = true)]
async fn an_operator_action_is_reported_before_the_transition_that_it_causes() {
    use OperatorAction::{ForceClosed, ForceOpen, Reset, Resume, Trip};
    use State::{Closed, HalfOpen, Open};
    type Act = fn(&CircuitBreaker);
    let steps: [(Act, OperatorAction, Cause, (State, State)); 7] = [
        (CircuitBreaker::trip, Trip, Cause::Trip, (Closed, Open)),
        (CircuitBreaker::reset, Reset, Cause::Reset, (Open, Closed)),
        (CircuitBreaker::force_open, ForceOpen, Cause::ForceOpen, (Closed, Open)),
        (CircuitBreaker::force_closed, ForceClosed, Cause::ForceClosed, (Open, Closed)),
        (CircuitBreaker::force_open, ForceOpen, Cause::ForceOpen, (Closed, Open)),
        (CircuitBreaker::resume, Resume, Cause::Resume, (Open, HalfOpen)),
        (CircuitBreaker::trip, Trip, Cause::Trip, (HalfOpen, Open)),
    ];
    let (breaker, log) = observed(sensitive());
    for (act, action, cause, change) in steps {
        act(&breaker);
        let reported = log.take();
        let [Reported::Action(reported_action), Reported::Transition(transition)] = &reported[..]
        else {
            panic!("{reported:?}");
        };
        assert_eq!(*reported_action, action);
        assert_eq!((transition.cause(), states(transition)), (cause, change));
    }
    // This is the only transition between equal states.
    let held = only(&log, || breaker.force_open());
    assert_eq!((held.cause(), states(&held)), (Cause::ForceOpen, (Open, Open)));
}

#[tokio::test(start_paused = true)]
async fn an_operator_action_is_reported_even_if_it_has_no_effect() {
    use OperatorAction::{ForceClosed, ForceOpen, Reset, Resume, Trip};
    let (breaker, log) = observed(sensitive());
    let reported_by = |act: fn(&CircuitBreaker)| {
        act(&breaker);
        log.take()
    };
    assert_eq!(reported_by(CircuitBreaker::resume), [Reported::Action(Resume)]);
    assert_eq!(reported_by(CircuitBreaker::reset), [Reported::Action(Reset)]);
    assert_eq!(reported_by(CircuitBreaker::force_closed), [Reported::Action(ForceClosed)]);
    assert_eq!(reported_by(CircuitBreaker::force_closed), [Reported::Action(ForceClosed)]);
    assert_eq!(reported_by(CircuitBreaker::trip), [Reported::Action(Trip)]);
    breaker.force_open();
    log.take();
    assert_eq!(reported_by(CircuitBreaker::force_open), [Reported::Action(ForceOpen)]);
    assert_eq!(reported_by(CircuitBreaker::trip), [Reported::Action(Trip)]);
    assert_eq!(reported_by(CircuitBreaker::reset), [Reported::Action(Reset)]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_timeout_that_precedes_an_operator_action_is_reported_first() {
    let (breaker, log) = observed(sensitive().probe_timeout(SECOND));
    breaker.trip();
    advance(SECOND).await;
    let _hangs = permit(&breaker);
    advance(5 * SECOND).await;
    log.take();
    breaker.reset();
    let reported = log.take();
    let [
        Reported::ProbeTimedOut,
        Reported::Transition(opened),
        Reported::Action(OperatorAction::Reset),
        Reported::Transition(closed),
    ] = &reported[..]
    else {
        panic!("{reported:?}");
    };
    assert_eq!(states(opened), (State::HalfOpen, State::Open));
    assert_eq!(states(closed), (State::Open, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn listeners_are_called_in_the_order_in_which_they_were_added() {
    let (first, second) = (Log::new(Interest::Durations), Log::new(Interest::Durations));
    let reported_first = first.clone();
    let breaker = sensitive()
        .listener(first.clone())
        .on_transition(move |_| assert_eq!(reported_first.transitions().len(), 1))
        .listener(second.clone())
        .build()
        .unwrap();
    permit(&breaker).failure();
    assert_eq!(second.transitions().len(), 1);
    assert_eq!(first.transitions().len(), 0, "taken by the listener in between");
}

#[tokio::test(start_paused = true)]
async fn each_event_prints_as_one_line_for_a_log() {
    use std::sync::{Arc, Mutex};
    let lines = Arc::new(Mutex::new(Vec::new()));
    let reported = lines.clone();
    let breaker = sensitive()
        .slow_call_duration_threshold(SECOND)
        .probe_timeout(SECOND)
        .on_event(move |event| reported.lock().unwrap().push(event.to_string()))
        .build()
        .unwrap();
    let (slow, ignored, stale) = (permit(&breaker), permit(&breaker), permit(&breaker));
    ignored.ignore();
    advance(SECOND).await;
    slow.failure();
    drop(breaker.try_acquire());
    advance(SECOND).await;
    let _hangs = permit(&breaker);
    advance(SECOND).await;
    breaker.force_open();
    drop(stale);
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "test: a call ended: ignored after 0.0ns",
            "test: closed -> open (1 failure in a row), next probe in 1.0s",
            "test: a call ended: failure after 1.0s, slow",
            "circuit breaker `test` rejected the call: the circuit is open, next probe in 1.0s",
            "test: open -> half-open (the wait is over)",
            "test: a probe was admitted",
            "test: a probe timed out",
            "test: half-open -> open (a probe timed out), next probe in 1.0s",
            "test: force_open",
            "test: open -> open (forced open)",
            "test: a call ended: abandoned after 3.0s, too late to count",
        ]
    );
}
