//! `save` and `primed`: a circuit goes on where another one has ended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_breaker::{
    Backoff, Cause, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Saved, State,
};

use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

fn settings() -> CircuitBreakerBuilder {
    sensitive().open_duration(Backoff::exponential(10 * SECOND, 60 * SECOND).jitter(0.0))
}

/// What the next process begins with.
fn restarted(saved: &Saved) -> CircuitBreaker {
    settings().primed(saved).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_restored_with_the_rest_of_its_wait() {
    let breaker = settings().build().unwrap();
    permit(&breaker).failure();
    advance(4 * SECOND).await;
    let saved = breaker.save();
    assert_eq!((saved.state(), saved.wait(), saved.attempt()), (State::Open, 6 * SECOND, 1));
    drop(breaker);

    let breaker = restarted(&saved);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state(), snapshot.cause()), (State::Open, Some(Cause::Primed)));
    assert_eq!((snapshot.retry_after(), snapshot.attempt()), (Some(6 * SECOND), Some(1)));
    advance(6 * SECOND - MS).await;
    breaker.try_acquire().unwrap_err();
    advance(MS).await;
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_backoff_goes_on() {
    let breaker = settings().build().unwrap();
    until_half_open(&breaker).await;
    permit(&breaker).failure();
    let saved = breaker.save();
    assert_eq!((saved.wait(), saved.attempt()), (20 * SECOND, 2));

    let breaker = restarted(&saved);
    advance(20 * SECOND).await;
    permit(&breaker).failure();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.attempt(), snapshot.retry_after()), (Some(3), Some(40 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_is_restored_as_open_with_none_of_its_wait_left() {
    let half_open = HalfOpen::consecutive_successes(1).ramp(10 * SECOND);
    for (ramp, is_recovering) in [(false, false), (true, true)] {
        let builder = if ramp { settings().half_open(half_open) } else { settings() };
        let breaker = builder.build().unwrap();
        until_half_open(&breaker).await;
        let probe = permit(&breaker);
        if is_recovering {
            probe.success();
        }
        assert_eq!(breaker.state(), State::HalfOpen);
        let saved = breaker.save();
        assert_eq!((saved.state(), saved.wait()), (State::HalfOpen, Duration::ZERO));
        let breaker = restarted(&saved);
        assert_eq!(breaker.state(), State::Open);
        permit(&breaker).failure();
        assert_eq!(breaker.snapshot().attempt(), Some(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_circuit_is_restored_as_closed_without_its_counts() {
    let breaker = settings().consecutive_failures(2).build().unwrap();
    permit(&breaker).failure();
    let saved = breaker.save();
    assert_eq!((saved.state(), saved.attempt()), (State::Closed, 0));
    let breaker = restarted(&saved);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state(), snapshot.cause()), (State::Closed, None));
    assert_eq!(snapshot.consecutive_failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_backoff_that_remembers_does_so_across_a_restart() {
    let backoff = Backoff::exponential(10 * SECOND, 60 * SECOND).jitter(0.0);
    let settings = || sensitive().open_duration(backoff.forget_after(100 * SECOND));
    let breaker = settings().build().unwrap();
    for _ in 0..2 {
        until_half_open(&breaker).await;
        permit(&breaker).success();
    }
    advance(100 * SECOND).await;
    let saved = breaker.save();
    assert_eq!((saved.state(), saved.attempt()), (State::Closed, 1));
    let breaker = settings().primed(&saved).build().unwrap();
    permit(&breaker).failure();
    assert_eq!(breaker.snapshot().attempt(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn aging_takes_off_the_wait_and_what_is_older_than_five_minutes_is_ignored() {
    let breaker = settings().build().unwrap();
    breaker.trip();
    let saved = breaker.save();
    let state = |saved: Saved| {
        let snapshot = restarted(&saved).snapshot();
        (snapshot.state(), snapshot.retry_after())
    };
    assert_eq!(state(saved.aged(3 * SECOND)), (State::Open, Some(7 * SECOND)));
    assert_eq!(state(saved.aged(SECOND).aged(2 * SECOND)), (State::Open, Some(7 * SECOND)));
    assert_eq!(state(saved.aged(300 * SECOND)), (State::Open, Some(Duration::ZERO)));
    assert_eq!(state(saved.aged(300 * SECOND + MS)), (State::Closed, None));
    assert_eq!(state(saved.aged(200 * SECOND).aged(101 * SECOND)), (State::Closed, None));
    assert_eq!(state(saved.aged(Duration::MAX).aged(Duration::MAX)), (State::Closed, None));
}

#[tokio::test(start_paused = true)]
async fn a_forced_circuit_is_saved_as_it_would_be_resumed() {
    let breaker = settings().build().unwrap();
    breaker.trip();
    breaker.force_open();
    let saved = breaker.save();
    assert_eq!((saved.state(), saved.attempt()), (State::HalfOpen, 1));
    breaker.force_closed();
    assert_eq!(breaker.save().state(), State::Closed);
    assert!(!restarted(&saved).snapshot().is_forced());
}

#[tokio::test(start_paused = true)]
async fn what_time_has_changed_is_saved_although_nobody_has_called_since() {
    let breaker = settings().probe_timeout(5 * SECOND).build().unwrap();
    until_half_open(&breaker).await;
    let _probe = permit(&breaker);
    advance(8 * SECOND).await;
    let saved = breaker.save();
    assert_eq!((saved.state(), saved.wait(), saved.attempt()), (State::Open, 17 * SECOND, 2));
}

#[tokio::test(start_paused = true)]
async fn a_circuit_is_restored_for_no_longer_than_its_settings_could_keep_it_open() {
    let breaker = sensitive().open_duration(1000 * SECOND).build().unwrap();
    breaker.trip();
    let saved = breaker.save();
    let short = settings().max_retry_after(SECOND).primed(&saved).build().unwrap();
    assert_eq!(short.snapshot().retry_after(), Some(60 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn listeners_and_the_history_have_the_transition_of_a_circuit_that_begins_open() {
    let breaker = settings().build().unwrap();
    breaker.trip();
    let log = Arc::new(Mutex::new(Vec::new()));
    let transitions = log.clone();
    let breaker = settings()
        .primed(&breaker.save().aged(SECOND))
        .on_transition(move |transition| transitions.lock().unwrap().push(transition.to_string()))
        .build()
        .unwrap();
    let expected = "test: closed -> open (primed with a saved state), next probe in 9.0s";
    assert_eq!(*log.lock().unwrap(), [expected]);
    assert_eq!(breaker.history().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn results_of_calls_that_the_former_circuit_admitted_have_no_effect() {
    let breaker = settings().build().unwrap();
    let call = permit(&breaker);
    let saved = breaker.save();
    drop(breaker);
    let breaker = restarted(&saved);
    call.failure();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn reconfiguring_ignores_it() {
    let breaker = settings().build().unwrap();
    let open = settings().build().unwrap();
    open.trip();
    breaker.reconfigure(settings().primed(&open.save())).unwrap();
    assert_eq!(breaker.state(), State::Closed);
}
