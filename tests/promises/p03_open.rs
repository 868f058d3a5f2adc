//! Point 3: how long a circuit stays open.

use std::collections::BTreeSet;
use std::time::Duration;

use tower_breaker::{Backoff, Cause, CircuitBreaker, HalfOpen, RejectReason, State};

use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

#[tokio::test(start_paused = true)]
async fn a_call_is_admitted_as_soon_as_the_wait_has_elapsed() {
    let breaker = sensitive().build().unwrap();
    permit(&breaker).failure();
    advance(SECOND - MS).await;
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.reason(), RejectReason::Open);
    assert_eq!(rejected.retry_after(), Some(MS));
    assert_eq!(rejected.breaker(), "test");
    advance(MS).await;
    let _probe = permit(&breaker);
    assert_eq!(
        breaker.state(),
        State::HalfOpen,
        "the first call after the wait is the first probe"
    );
    assert!(breaker.try_acquire().is_err(), "it has taken the only probe slot");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_arrives_while_open_lengthens_the_wait() {
    let breaker = sensitive().build().unwrap();
    let late = [permit(&breaker), permit(&breaker)];
    permit(&breaker).failure();
    for late in late {
        advance(SECOND / 4).await;
        late.failure();
        breaker.trip();
        breaker.try_acquire().unwrap_err();
    }
    assert_eq!(breaker.snapshot().retry_after(), Some(SECOND / 2));
}

#[tokio::test(start_paused = true)]
async fn the_backoff_grows_with_every_open_period_and_only_closing_resets_it() {
    let backoff = Backoff::exponential(SECOND, 5 * SECOND).jitter(0.0);
    let breaker = sensitive().open_duration(backoff).build().unwrap();
    let mut waits = Vec::new();
    for ends_well in [false, false, false, false, true, false] {
        permit(&breaker).failure();
        let wait = breaker.snapshot().retry_after().unwrap();
        waits.push(wait.as_secs());
        advance(wait).await;
        if ends_well {
            permit(&breaker).success();
            assert_eq!(breaker.state(), State::Closed);
        }
    }
    assert_eq!(waits, [1, 2, 4, 5, 5, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_ignored_or_abandoned_probe_does_not_reset_the_backoff() {
    let backoff = Backoff::exponential(SECOND, 100 * SECOND).jitter(0.0);
    let breaker = sensitive().open_duration(backoff).build().unwrap();
    until_half_open(&breaker).await;
    permit(&breaker).ignore();
    drop(permit(&breaker));
    permit(&breaker).failure();
    assert_eq!(breaker.snapshot().retry_after(), Some(2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn jitter_draws_each_wait_from_the_whole_range() {
    let breaker = sensitive().open_duration(Backoff::constant(SECOND).jitter(0.5)).build().unwrap();
    let mut waits = BTreeSet::new();
    for _ in 0..200 {
        breaker.reset();
        breaker.trip();
        waits.insert(breaker.snapshot().retry_after().unwrap());
    }
    assert!(waits.len() > 190, "the waits differ");
    let (shortest, longest) = (waits.first().unwrap(), waits.last().unwrap());
    assert!(*shortest >= SECOND / 2 && *longest <= SECOND * 3 / 2);
    // The probability that 200 draws miss a fifth of the range at one end is 10^-19.
    assert!(*shortest < Duration::from_millis(700) && *longest > Duration::from_millis(1300));
}

#[tokio::test(start_paused = true)]
async fn two_breakers_draw_different_waits() {
    let waits = |_| {
        let breaker = CircuitBreaker::new("one of many");
        breaker.trip();
        breaker.snapshot().retry_after()
    };
    assert_eq!((0..50).map(waits).collect::<BTreeSet<_>>().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_outlasts_every_process() {
    let breaker = sensitive().open_duration(Duration::MAX).build().unwrap();
    breaker.trip();
    advance(Duration::from_secs(100 * 365 * 24 * 3600)).await;
    assert!(breaker.try_acquire().is_err());
    assert!(breaker.snapshot().retry_after().unwrap() > 100 * 365 * 24 * 3600 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_wait_in_a_half_open_rejection_is_the_wait_that_follows() {
    let breaker = sensitive()
        .open_duration(Backoff::exponential(SECOND, 60 * SECOND).jitter(1.0))
        .probe_timeout(10 * SECOND)
        .half_open(HalfOpen::consecutive_successes(1))
        .build()
        .unwrap();
    until_half_open(&breaker).await;
    let probe = permit(&breaker);
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.reason(), RejectReason::HalfOpen);
    let wait = rejected.retry_after().unwrap();
    probe.failure(); // what the rejection has assumed
    assert_eq!(breaker.snapshot().retry_after(), Some(wait));
    advance(wait - Duration::from_nanos(1)).await;
    breaker.try_acquire().unwrap_err();
    advance(Duration::from_nanos(1)).await;
    let _next = permit(&breaker);
}

#[tokio::test(start_paused = true)]
async fn a_request_to_wait_is_stretched_by_up_to_the_jitter_and_never_shortened() {
    let minute = 60 * SECOND;
    let with = |backoff: Backoff| {
        let breaker = sensitive().open_duration(backoff).build().unwrap();
        permit(&breaker).failure_retry_after(minute);
        breaker.snapshot().retry_after().unwrap()
    };
    let waits = |backoff: Backoff| (0..50).map(move |_| with(backoff)).collect::<Vec<_>>();
    let constant = Backoff::constant(SECOND);
    let growing = Backoff::exponential(SECOND, minute).jitter(0.5);
    for (waits, most) in [(waits(constant), minute * 11 / 10), (waits(growing), minute * 3 / 2)] {
        assert!(waits.iter().all(|wait| (minute..=most).contains(wait)), "{waits:?}");
        let same = waits.iter().filter(|wait| **wait == waits[0]).count();
        assert_eq!(same, 1, "two circuits would probe at the same moment: {waits:?}");
    }
    assert_eq!(with(constant.jitter(0.0)), minute);
}

#[tokio::test(start_paused = true)]
async fn a_request_to_wait_counts_if_a_later_failure_opens_the_circuit() {
    let breaker = CircuitBreaker::builder("shop")
        .consecutive_failures(3)
        .open_duration(Backoff::constant(SECOND).jitter(0.0))
        .build()
        .unwrap();
    permit(&breaker).failure_retry_after(5 * SECOND);
    advance(SECOND).await;
    permit(&breaker).failure_retry_after(2 * SECOND); // ends earlier
    permit(&breaker).failure(); // for example a refused connection
    assert_eq!(breaker.snapshot().retry_after(), Some(4 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_request_to_wait_does_not_outlive_its_period_or_its_time() {
    let builder = || sensitive().consecutive_failures(2);
    let breaker = builder().open_duration(Backoff::constant(SECOND).jitter(0.0)).build().unwrap();
    permit(&breaker).failure_retry_after(5 * SECOND);
    breaker.reset();
    breaker.trip();
    assert_eq!(
        breaker.snapshot().retry_after(),
        Some(SECOND),
        "the request belongs to an earlier period"
    );

    breaker.reset();
    permit(&breaker).failure_retry_after(5 * SECOND);
    advance(5 * SECOND).await;
    permit(&breaker).failure();
    assert_eq!(breaker.snapshot().retry_after(), Some(SECOND), "the requested time has passed");
}

#[tokio::test(start_paused = true)]
async fn tripping_an_open_circuit_whose_wait_has_elapsed_opens_it_anew() {
    let breaker = sensitive().build().unwrap();
    breaker.trip();
    advance(SECOND / 2).await;
    breaker.trip();
    assert_eq!(
        breaker.snapshot().retry_after(),
        Some(SECOND / 2),
        "a trip does not lengthen a wait that is running"
    );
    advance(SECOND).await;
    breaker.trip();
    breaker.try_acquire().unwrap_err();
    assert_eq!(breaker.snapshot().attempt(), Some(2));
    let last = breaker.history().pop().unwrap();
    assert_eq!((last.from(), last.to(), last.cause()), (State::Open, State::Open, Cause::Trip));
}
