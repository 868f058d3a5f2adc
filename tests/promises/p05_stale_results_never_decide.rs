//! Point 5: a result counts only in the state period that admitted the call.

use tower_breaker::{CircuitBreaker, HalfOpen, Permit, Snapshot, State};

use crate::{SECOND, advance, permit, sensitive, until_half_open};

type Settle = fn(Permit);

const WAYS_TO_SETTLE: [Settle; 4] = [Permit::success, Permit::failure, Permit::ignore, drop];

/// Lets calls of an earlier period end in all possible ways, and checks that nothing changes.
fn settle_stale(breaker: &CircuitBreaker, stale: Vec<Permit>) {
    let before: Snapshot = breaker.snapshot();
    for (permit, settle) in stale.into_iter().zip(WAYS_TO_SETTLE) {
        settle(permit);
        assert_eq!(breaker.snapshot(), before);
    }
}

fn four(breaker: &CircuitBreaker) -> Vec<Permit> {
    (0..4).map(|_| permit(breaker)).collect()
}

#[tokio::test(start_paused = true)]
async fn results_of_a_closed_period_change_nothing_while_open() {
    let breaker = sensitive().build().unwrap();
    let stale = four(&breaker);
    permit(&breaker).failure();
    settle_stale(&breaker, stale);
}

#[tokio::test(start_paused = true)]
async fn results_of_a_closed_period_neither_close_nor_reopen_nor_free_slots_while_half_open() {
    let breaker = sensitive().build().unwrap();
    let stale = four(&breaker);
    until_half_open(&breaker).await;
    let _probe = permit(&breaker);
    settle_stale(&breaker, stale);
    assert!(breaker.try_acquire().is_err(), "the only slot is still taken");
}

#[tokio::test(start_paused = true)]
async fn results_of_a_closed_period_are_not_counted_in_the_next_one() {
    let breaker = CircuitBreaker::new("default");
    let stale = four(&breaker);
    until_half_open(&breaker).await;
    (0..3).for_each(|_| permit(&breaker).success());
    assert_eq!(breaker.state(), State::Closed);
    settle_stale(&breaker, stale);
}

#[tokio::test(start_paused = true)]
async fn results_from_before_a_reset_are_dropped() {
    let breaker = CircuitBreaker::new("default");
    let stale = four(&breaker);
    breaker.reset();
    settle_stale(&breaker, stale);
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_an_earlier_half_open_period_does_not_count_in_the_current_one() {
    let breaker = sensitive().half_open(HalfOpen::consecutive_successes(5)).build().unwrap();
    until_half_open(&breaker).await;
    let stale = four(&breaker);
    permit(&breaker).failure();
    advance(SECOND).await;
    let _probe = permit(&breaker);
    assert_eq!(breaker.state(), State::HalfOpen);
    settle_stale(&breaker, stale);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_outlives_its_breaker_does_not_disturb_the_next_one() {
    for _ in 0..100 {
        let breaker = sensitive().build().unwrap();
        let stale = four(&breaker);
        drop(breaker);
        let next = sensitive().build().unwrap();
        settle_stale(&next, stale);
        until_half_open(&next).await;
        let stale = vec![permit(&next)];
        drop(next);
        let next = sensitive().build().unwrap();
        settle_stale(&next, stale);
    }
}

#[test]
fn a_permit_that_outlives_its_breaker_does_not_advance_the_time_of_the_next_one() {
    let paused = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap()
    };
    // There are two clocks, as in two tests that run at the same time. Whether the second breaker reuses
    // the circuit of the first depends on the other tests in this process, so there are many attempts.
    let (far_ahead, own) = (paused(), paused());
    far_ahead.block_on(advance(3600 * SECOND));
    for _ in 0..100 {
        let late = far_ahead.block_on(async { permit(&sensitive().build().unwrap()) });
        let breaker = own.block_on(async { sensitive().build().unwrap() });
        own.block_on(async { breaker.trip() });
        far_ahead.block_on(async { drop(late) });
        own.block_on(async {
            advance(SECOND).await;
            permit(&breaker).failure();
            assert_eq!(breaker.snapshot().retry_after(), Some(SECOND));
        });
    }
}
