//! Point 4: how many probes are admitted, and what they decide.

use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Permit, RejectReason, SlidingWindow, State,
};

use crate::{SECOND, advance, permit, sensitive, until_half_open};

async fn half_open(rule: HalfOpen) -> CircuitBreaker {
    let breaker = CircuitBreaker::builder("half-open")
        .failure_rate_threshold(0.5)
        .open_duration(SECOND)
        .half_open(rule)
        .build()
        .unwrap();
    until_half_open(&breaker).await;
    breaker
}

/// Takes all probe slots that are free.
fn all_probes(breaker: &CircuitBreaker) -> Vec<Permit> {
    let probes = std::iter::from_fn(|| breaker.try_acquire().ok()).collect();
    assert_eq!(breaker.try_acquire().unwrap_err().reason(), RejectReason::HalfOpen);
    probes
}

#[tokio::test(start_paused = true)]
async fn probes_in_flight_and_successes_together_never_exceed_n() {
    let breaker = half_open(HalfOpen::consecutive_successes(5)).await;
    let mut probes = all_probes(&breaker);
    assert_eq!(probes.len(), 5);
    for _ in 0..4 {
        probes.pop().unwrap().success();
        assert!(all_probes(&breaker).is_empty(), "a success keeps its slot");
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    probes.pop().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_failure_reopens_the_circuit() {
    let breaker = half_open(HalfOpen::consecutive_successes(3)).await;
    let mut probes = all_probes(&breaker);
    probes.pop().unwrap().success();
    probes.pop().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_has_failed_only_with_a_slow_call_rule() {
    let timed = sensitive().slow_call_duration_threshold(SECOND);
    for (with_rule, state) in [(true, State::Open), (false, State::Closed)] {
        let builder = timed.clone();
        let builder = if with_rule { builder.slow_call_rate_threshold(1.0) } else { builder };
        let breaker = builder.build().unwrap();
        until_half_open(&breaker).await;
        let probe = permit(&breaker);
        advance(SECOND).await;
        probe.success();
        assert_eq!(breaker.state(), state);
        assert_eq!(breaker.snapshot().consecutive_failures(), u64::from(with_rule));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sample_admits_n_in_all_and_is_judged_when_all_have_reported() {
    let breaker = half_open(HalfOpen::sample(4)).await;
    let mut probes = all_probes(&breaker);
    assert_eq!(probes.len(), 4);
    probes.pop().unwrap().failure();
    probes.pop().unwrap().success();
    probes.pop().unwrap().success();
    assert_eq!(breaker.state(), State::HalfOpen, "one probe has not reported");
    assert!(all_probes(&breaker).is_empty());
    probes.pop().unwrap().success();
    assert_eq!(breaker.state(), State::Closed, "1 of 4 failed");

    until_half_open(&breaker).await;
    let mut probes = all_probes(&breaker);
    probes.pop().unwrap().failure();
    probes.pop().unwrap().failure();
    assert_eq!(breaker.state(), State::HalfOpen);
    probes.pop().unwrap().success();
    probes.pop().unwrap().success();
    assert_eq!(breaker.state(), State::Open, "2 of 4 probes failed, which is the threshold");
}

#[tokio::test(start_paused = true)]
async fn a_sample_is_also_judged_by_the_slow_call_rate() {
    let breaker = CircuitBreaker::builder("slow")
        .slow_call_duration_threshold(SECOND)
        .slow_call_rate_threshold(1.0)
        .half_open(HalfOpen::sample(2))
        .build()
        .unwrap();
    until_half_open(&breaker).await;
    let probes = all_probes(&breaker);
    advance(SECOND).await;
    probes.into_iter().for_each(Permit::success);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_a_sample_that_times_out_is_one_failure_and_does_not_decide_alone() {
    let timed = |builder: CircuitBreakerBuilder| {
        let builder = builder.failure_rate_threshold(0.5).half_open(HalfOpen::sample(50));
        builder.probe_timeout(10 * SECOND).open_duration(SECOND).build().unwrap()
    };
    let breaker = timed(CircuitBreaker::builder("test"));
    until_half_open(&breaker).await;
    let hanging = permit(&breaker);
    (0..49).for_each(|_| permit(&breaker).success());
    breaker.try_acquire().unwrap_err();
    advance(10 * SECOND).await;
    assert_eq!(breaker.state(), State::Closed, "1 of 50 failed");
    hanging.failure();
    assert_eq!(breaker.snapshot().consecutive_failures(), 0, "the result of the probe is stale");

    let slow = timed(
        CircuitBreaker::builder("slow")
            .slow_call_duration_threshold(SECOND)
            .slow_call_rate_threshold(0.02),
    );
    until_half_open(&slow).await;
    let _hanging = permit(&slow);
    (0..49).for_each(|_| permit(&slow).success());
    advance(10 * SECOND).await;
    assert_eq!(slow.state(), State::Open, "1 of 50 was slow");
    assert_eq!(
        slow.snapshot().retry_after(),
        Some(SECOND),
        "the open period begins when the probe times out"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sample_is_judged_regardless_of_minimum_calls() {
    let breaker = CircuitBreaker::builder("small sample")
        .failure_rate_threshold(0.5)
        .sliding_window(SlidingWindow::count(1000))
        .minimum_calls(1000)
        .half_open(HalfOpen::sample(1))
        .build()
        .unwrap();
    until_half_open(&breaker).await;
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn an_ignored_or_abandoned_probe_gives_its_slot_back() {
    for rule in [HalfOpen::consecutive_successes(2), HalfOpen::sample(2)] {
        let breaker = half_open(rule).await;
        for _ in 0..10 {
            let mut probes = all_probes(&breaker);
            assert_eq!(probes.len(), 2);
            probes.pop().unwrap().ignore();
            drop(probes);
            assert_eq!(breaker.snapshot().calls(), 0);
        }
        all_probes(&breaker).into_iter().for_each(Permit::success);
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_largest_number_of_probes_needs_memory_only_for_those_in_flight() {
    let breaker = half_open(HalfOpen::sample(u32::MAX)).await;
    let mut probes: Vec<_> = (0..1000).map(|_| permit(&breaker)).collect();
    // They report neither in the order of their admission nor in reverse.
    while !probes.is_empty() {
        let middle = probes.len() / 2;
        probes.remove(middle).success();
    }
    assert_eq!(breaker.snapshot().calls(), 1000);
    assert_eq!(breaker.state(), State::HalfOpen);
}
