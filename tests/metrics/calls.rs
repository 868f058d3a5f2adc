//! The metrics of calls and rejections.

use std::time::Duration;

use tokio::time::advance;
use tower_breaker::Outcome;

use crate::scrape::Scrape;
use crate::*;

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_how_they_end() {
    let exporter = Exporter::new();
    let breaker = sensitive()
        .consecutive_failures(100)
        .abandoned_after(SECOND)
        .slow_call_duration_threshold(SECOND * 5)
        .build()
        .unwrap();
    (0..4).for_each(|_| permit(&breaker).success());
    (0..3).for_each(|_| permit(&breaker).failure());
    (0..2).for_each(|_| permit(&breaker).ignore());
    drop(permit(&breaker));
    (0..6).for_each(|_| permit(&breaker).record(Outcome::SoftFailure));
    let late = permit(&breaker);
    let slow = permit(&breaker);
    advance(SECOND).await;
    drop(late); // a failure
    advance(SECOND * 4).await;
    slow.success();

    let scrape = exporter.scrape();
    let counted = ["success", "failure", "ignored", "abandoned", "soft_failure"]
        .map(|outcome| scrape.value(CALLS, &of_test(&[("outcome", outcome)])));
    assert_eq!(counted, [5.0, 4.0, 2.0, 1.0, 6.0]);
    assert_eq!(scrape.value(SLOW_CALLS, &of_test(&[])), 1.0);
    assert_eq!(scrape.value(STALE_RESULTS, &of_test(&[])), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_comes_too_late_is_counted_as_stale() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    let late = permit(&breaker);
    permit(&breaker).failure();
    late.success();
    let scrape = exporter.scrape();
    assert_eq!(scrape.value(CALLS, &of_test(&[("outcome", "success")])), 1.0);
    assert_eq!(scrape.value(STALE_RESULTS, &of_test(&[])), 1.0);
}

#[tokio::test(start_paused = true)]
async fn rejections_are_counted_by_reason_and_not_as_calls() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    breaker.trip();
    (0..3).for_each(|_| drop(breaker.try_acquire().unwrap_err()));
    advance(SECOND).await;
    let probe = permit(&breaker);
    (0..2).for_each(|_| drop(breaker.try_acquire().unwrap_err()));
    breaker.force_open();
    breaker.try_acquire().unwrap_err();

    let scrape = exporter.scrape();
    let counted = ["open", "half_open", "forced_open"]
        .map(|reason| scrape.value(REJECTIONS, &of_test(&[("reason", reason)])));
    assert_eq!(counted, [3.0, 2.0, 1.0]);
    assert_eq!(scrape.sum(CALLS, &[]), 0.0);
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_let_through_are_counted_apart_by_how_they_end() {
    let exporter = Exporter::new();
    let breaker = sensitive().enforcement(0.0).build().unwrap();
    let would_reject = |scrape: &Scrape| {
        ["success", "failure", "ignored", "abandoned", "soft_failure"]
            .map(|outcome| scrape.value(WOULD_REJECT, &of_test(&[("outcome", outcome)])))
    };
    assert_eq!(would_reject(&exporter.scrape()), [0.0; 5], "they begin with the setting");
    permit(&breaker).failure();
    (0..3).for_each(|_| permit(&breaker).success());
    (0..2).for_each(|_| permit(&breaker).failure());
    drop(permit(&breaker));
    breaker.set_enforcement(1.0).unwrap();
    breaker.try_acquire().unwrap_err();

    let scrape = exporter.scrape();
    assert_eq!(would_reject(&scrape), [3.0, 2.0, 0.0, 1.0, 0.0]);
    assert_eq!(scrape.sum(CALLS, &[]), 1.0);
    assert_eq!(scrape.sum(REJECTIONS, &[]), 1.0);
    assert_eq!(scrape.sum(STALE_RESULTS, &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_share_that_is_enforced_is_shown_from_when_it_is_less_than_all() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    breaker.trip();
    assert_eq!(exporter.scrape().of(ENFORCEMENT, &[]).count(), 0);
    for share in [0.25, 0.0, 1.0] {
        breaker.set_enforcement(share).unwrap();
        assert_eq!(exporter.scrape().value(ENFORCEMENT, &of_test(&[])), share);
    }
}

#[test]
fn a_call_that_is_recorded_allocates_nothing() {
    let exporter = Exporter::new();
    let breaker = CircuitBreaker::builder("test").consecutive_failures(100).build().unwrap();
    permit(&breaker).success(); // sets up what a thread allocates once
    let allocated = allocation_counter::measure(|| {
        permit(&breaker).success();
        permit(&breaker).failure();
        drop(permit(&breaker));
    });
    assert_eq!(allocated.count_total, 0);
    assert_eq!(exporter.scrape().sum(CALLS, &[]), 4.0);
}

#[tokio::test(start_paused = true)]
async fn there_is_a_histogram_of_durations_only_if_it_is_enabled() {
    let exporter = Exporter::new();
    let without = sensitive().build().unwrap();
    permit(&without).success();
    assert!(!exporter.handle.render().contains(CALL_DURATION));

    let with = sensitive().call_duration_histogram().build().unwrap();
    for millis in [250, 500] {
        let call = permit(&with);
        advance(Duration::from_millis(millis)).await;
        call.success();
    }
    let scrape = exporter.scrape();
    let success = of_test(&[("outcome", "success")]);
    assert_eq!(scrape.value(&format!("{CALL_DURATION}_count"), &success), 2.0);
    assert_eq!(scrape.value(&format!("{CALL_DURATION}_sum"), &success), 0.75);
    assert_eq!(scrape.value(CALLS, &success), 3.0);
}
