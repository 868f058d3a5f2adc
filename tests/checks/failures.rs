//! What a failed check is. After each of them the checks go on.

use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::time::{Instant, sleep};
use tower_breaker::{Cause, HalfOpen, State};

use crate::{BoxCheck, Checks, Outcome, SECOND, advance, permit, sensitive};

/// Checks an open circuit with `failing` once, and then with one that succeeds.
async fn is_a_failed_probe(mut failing: impl FnMut() -> BoxCheck + Send + 'static) {
    let breaker = sensitive().build().unwrap();
    let has_failed = AtomicBool::new(false);
    let checks = tokio::spawn(breaker.probe_with(move || -> BoxCheck {
        if has_failed.swap(true, Ordering::Relaxed) { Box::pin(ready(Ok(()))) } else { failing() }
    }));
    breaker.trip();
    sleep(SECOND + SECOND / 2).await;
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state(), snapshot.cause()), (State::Open, Some(Cause::ProbeFailed)));
    assert_eq!(snapshot.attempt(), Some(2));
    sleep(SECOND).await;
    assert_eq!(breaker.state(), State::Closed);
    assert!(!checks.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_error_is_a_failed_probe() {
    is_a_failed_probe(|| Box::pin(ready(Err("down")))).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_when_the_check_is_created_is_a_failed_probe() {
    is_a_failed_probe(|| panic!("on purpose")).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_future_is_a_failed_probe() {
    is_a_failed_probe(|| Box::pin(async { panic!("on purpose") })).await;
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose, in a drop");
    }
}

/// Returns `outcome` or panics, and panics when it is dropped.
struct DropsBadly(Option<Outcome>, Bomb);

impl Future for DropsBadly {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Ready(self.0.expect("a panic on purpose"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_when_the_future_is_dropped_is_a_failed_probe() {
    is_a_failed_probe(|| Box::pin(DropsBadly(Some(Ok(())), Bomb))).await;
    is_a_failed_probe(|| Box::pin(DropsBadly(Some(Err("down")), Bomb))).await;
    is_a_failed_probe(|| Box::pin(DropsBadly(None, Bomb))).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_when_the_error_is_dropped_is_a_failed_probe() {
    let breaker = sensitive().build().unwrap();
    tokio::spawn(breaker.probe_with(|| ready(Err::<(), _>(Bomb))));
    breaker.trip();
    sleep(SECOND + SECOND / 2).await;
    assert_eq!(breaker.snapshot().cause(), Some(Cause::ProbeFailed));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_is_dropped_when_the_time_of_a_probe_is_over_and_has_failed_once() {
    let breaker = sensitive().build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.hang()));
    breaker.trip();
    for attempt in 1..10 {
        sleep(SECOND + SECOND / 100).await;
        assert_eq!((breaker.state(), checks.running()), (State::HalfOpen, 1));
        assert_eq!(checks.begun(), attempt as usize);
        sleep(10 * SECOND).await;
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state(), checks.running()), (State::Open, 0));
        assert_eq!(snapshot.cause(), Some(Cause::ProbeTimedOut));
        assert_eq!(snapshot.attempt(), Some(attempt + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_for_ever_keeps_no_call_from_recovering_the_circuit() {
    let breaker = sensitive().build().unwrap();
    tokio::spawn(breaker.probe_with(pending::<Outcome>));
    breaker.trip();
    let start = Instant::now();
    let mut waited = 0;
    // A caller competes with the checks. Sooner or later it asks first.
    while breaker.state() != State::Closed {
        sleep(SECOND * 37 / 100).await;
        waited += 1;
        assert!(waited < 10_000, "wedged for {:?}", start.elapsed());
        if let Ok(permit) = breaker.try_acquire() {
            permit.success();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_ends_as_its_time_is_over_has_timed_out() {
    let breaker = sensitive().build().unwrap();
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.succeed_after(10 * SECOND)));
    breaker.trip();
    sleep(11 * SECOND + SECOND / 2).await;
    assert_eq!(breaker.snapshot().cause(), Some(Cause::ProbeTimedOut));
}

#[tokio::test(start_paused = true)]
async fn a_check_has_as_much_time_as_late_calls_have_given_to_probes() {
    let breaker = sensitive().build().unwrap();
    breaker.trip();
    advance(SECOND).await;
    let call = permit(&breaker);
    advance(12 * SECOND).await;
    call.success(); // too late, so probes have 24 s from now on
    assert_eq!(breaker.state(), State::Open);
    let checks = Checks::default();
    tokio::spawn(breaker.probe_with(checks.succeed_after(20 * SECOND)));
    sleep(21 * SECOND).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn checks_that_end_at_once_leave_the_thread_to_other_tasks_after_each() {
    let breaker = sensitive()
        .failure_rate_threshold(1.0)
        .half_open(HalfOpen::sample(1_000_000))
        .build()
        .unwrap();
    let checks = Checks::default();
    breaker.trip();
    advance(SECOND).await;
    let mut future = tokio_test::task::spawn(breaker.probe_with(checks.answer(Err("down"))));
    for begun in 1..100 {
        assert!(future.poll().is_pending());
        assert_eq!(checks.begun(), begun);
        tokio::task::yield_now().await;
        assert!(future.is_woken());
    }
}
