//! What operators do: `trip`, `reset`, `force_open`, `force_closed`, `resume`.

use std::sync::{Arc, Mutex};

use tower_breaker::{Backoff, Cause, CircuitBreaker, RejectReason, SlidingWindow, State};

use crate::{SECOND, advance, permit, sensitive, until_half_open};

fn breaker() -> CircuitBreaker {
    let backoff = Backoff::exponential(SECOND, 100 * SECOND).jitter(0.0);
    sensitive().open_duration(backoff).build().unwrap()
}

fn wait(breaker: &CircuitBreaker) -> u64 {
    breaker.snapshot().retry_after().unwrap().as_secs()
}

#[tokio::test(start_paused = true)]
async fn trip_opens_the_circuit_which_then_recovers_as_usual() {
    let breaker = breaker();
    breaker.trip();
    assert_eq!((breaker.state(), wait(&breaker)), (State::Open, 1));
    advance(SECOND).await;
    let _probe = permit(&breaker);
    breaker.trip();
    assert_eq!(
        (breaker.state(), wait(&breaker)),
        (State::Open, 2),
        "a half-open circuit can be tripped"
    );
    advance(2 * SECOND).await;
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn trip_has_no_effect_if_open_or_forced() {
    let breaker = breaker();
    breaker.trip();
    advance(SECOND / 2).await;
    breaker.trip();
    assert_eq!(breaker.snapshot().retry_after(), Some(SECOND / 2));
    breaker.force_closed();
    breaker.trip();
    assert_eq!(breaker.state(), State::Closed);
    breaker.force_open();
    breaker.trip();
    breaker.resume();
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn reset_closes_the_circuit_and_forgets_everything_including_the_backoff() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    permit(&breaker).failure();
    assert_eq!(wait(&breaker), 2);
    breaker.reset();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().consecutive_failures(), 0);
    permit(&breaker).failure();
    assert_eq!(wait(&breaker), 1);
}

#[tokio::test(start_paused = true)]
async fn force_open_rejects_everything_until_resume_and_then_the_next_call_is_a_probe() {
    let breaker = breaker();
    breaker.force_open();
    advance(3600 * SECOND).await;
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!((rejected.reason(), rejected.retry_after()), (RejectReason::ForcedOpen, None));
    assert_eq!(breaker.snapshot().retry_after(), None);
    breaker.resume();
    assert_eq!(breaker.state(), State::HalfOpen);
    permit(&breaker).failure();
    assert_eq!(wait(&breaker), 1, "the backoff does not count the forced period");
}

#[tokio::test(start_paused = true)]
async fn force_open_makes_the_probes_in_flight_stale() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    let probe = permit(&breaker);
    breaker.force_open();
    probe.success();
    assert_eq!(breaker.try_acquire().unwrap_err().reason(), RejectReason::ForcedOpen);
}

#[tokio::test(start_paused = true)]
async fn force_closed_admits_everything_and_still_records() {
    let breaker = CircuitBreaker::builder("forced")
        .failure_rate_threshold(0.5)
        .sliding_window(SlidingWindow::count(10))
        .minimum_calls(4)
        .build()
        .unwrap();
    permit(&breaker).success();
    let in_flight = permit(&breaker);
    breaker.force_closed();
    (0..3).for_each(|_| permit(&breaker).failure());
    assert_eq!(breaker.state(), State::Closed);
    in_flight.failure();
    assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (5, 4));

    breaker.resume();
    assert_eq!(breaker.state(), State::Closed, "`resume` does not judge the counts");
    assert_eq!(breaker.snapshot().failures(), 4, "the counts are kept");
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Open, "the next result is judged: 4 of 6");
}

#[tokio::test(start_paused = true)]
async fn force_closed_ends_an_open_period_and_a_forced_one() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    permit(&breaker).failure();
    breaker.force_closed();
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Closed);
    breaker.resume();
    permit(&breaker).failure();
    assert_eq!(wait(&breaker), 1, "closing resets the backoff");

    breaker.force_open();
    breaker.force_closed();
    permit(&breaker).success();
}

#[tokio::test(start_paused = true)]
async fn reset_keeps_a_forced_state_but_forgets_everything_else() {
    let breaker = breaker();
    until_half_open(&breaker).await;
    breaker.force_open();
    breaker.reset();
    assert_eq!(breaker.try_acquire().unwrap_err().reason(), RejectReason::ForcedOpen);
    breaker.resume();
    permit(&breaker).failure();
    assert_eq!(wait(&breaker), 1);

    breaker.force_closed();
    permit(&breaker).failure();
    breaker.reset();
    assert_eq!(breaker.snapshot().consecutive_failures(), 0);
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn resume_has_no_effect_if_not_forced() {
    let breaker = breaker();
    breaker.resume();
    assert_eq!(breaker.state(), State::Closed);
    breaker.trip();
    breaker.resume();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn listeners_are_notified_of_every_transition_with_its_cause() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let listener = received.clone();
    let breaker = sensitive()
        .probe_timeout(SECOND)
        .on_transition(move |transition| listener.lock().unwrap().push(transition.clone()))
        .build()
        .unwrap();
    permit(&breaker).failure();
    advance(SECOND).await;
    let _hanging = permit(&breaker);
    advance(2 * SECOND).await;
    let _second = permit(&breaker);
    breaker.trip();
    breaker.force_open();
    breaker.resume();
    permit(&breaker).success();
    breaker.reset();
    breaker.trip();
    breaker.reset();
    let received: Vec<_> =
        received.lock().unwrap().iter().map(|t| (t.from(), t.to(), t.cause())).collect();
    let (closed, open, half_open) = (State::Closed, State::Open, State::HalfOpen);
    assert_eq!(
        received,
        [
            (closed, open, Cause::ConsecutiveFailures { failures: 1 }),
            (open, half_open, Cause::WaitOver),
            (half_open, open, Cause::ProbeTimedOut),
            (open, half_open, Cause::WaitOver),
            (half_open, open, Cause::Trip),
            (open, open, Cause::ForceOpen),
            (open, half_open, Cause::Resume),
            (half_open, closed, Cause::ProbesSucceeded),
            (closed, open, Cause::Trip),
            (open, closed, Cause::Reset),
        ]
    );
}
