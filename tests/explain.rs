//! A snapshot answers an operator's questions: which state, since when, why, and what would change it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::advance;
use tower_breaker::{
    Backoff, Cause, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Permit, SlidingWindow,
    TripRule,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("explained").open_duration(5 * SECOND)
}

fn both_rates() -> CircuitBreakerBuilder {
    builder()
        .failure_rate_threshold(0.5)
        .slow_call_duration_threshold(SECOND)
        .slow_call_rate_threshold(0.9)
        .sliding_window(SlidingWindow::count(100))
        .minimum_calls(4)
}

fn permit(breaker: &CircuitBreaker) -> Permit {
    breaker.try_acquire().expect("the call should be admitted")
}

fn calls(breaker: &CircuitBreaker, failures: u32, successes: u32) {
    (0..failures).for_each(|_| permit(breaker).failure());
    (0..successes).for_each(|_| permit(breaker).success());
}

#[track_caller]
fn assert_says(breaker: &CircuitBreaker, line: &str) {
    assert_eq!(breaker.snapshot().to_string(), line);
}

// ---- closed -------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_closed_circuit_says_how_near_each_rule_is_the_nearest_first() {
    let breaker = both_rates().consecutive_failures(5).build().unwrap();
    assert_says(
        &breaker,
        "closed for 0s: 0 of 5 failures in a row; failure rate not judged yet (0 of 4 calls); \
         slow-call rate not judged yet (0 of 4 calls)",
    );

    calls(&breaker, 1, 4);
    advance(1500 * MS).await;
    assert_says(
        &breaker,
        "closed for 1.5s: failure rate 0.20 of 0.5 (1 of 5 calls); 0 of 5 failures in a row; \
         slow-call rate 0.00 of 0.9 (0 of 5 calls)",
    );

    calls(&breaker, 0, 12);
    calls(&breaker, 3, 0);
    assert_says(
        &breaker,
        "closed for 1.5s: 3 of 5 failures in a row; failure rate 0.20 of 0.5 (4 of 20 calls); \
         slow-call rate 0.00 of 0.9 (0 of 20 calls)",
    );
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_a_rate_is_limited_by_the_share_of_the_minimum_calls() {
    let breaker = builder()
        .consecutive_failures(5)
        .failure_rate_threshold(0.1)
        .minimum_calls(10)
        .build()
        .unwrap();
    calls(&breaker, 1, 1);
    calls(&breaker, 1, 0);

    let rules: Vec<_> = breaker.snapshot().trip_rules().collect();
    let [rate, run] = rules[..] else { panic!("two rules are on, but it says {rules:?}") };
    let expected =
        TripRule::FailureRate { failures: 2, calls: 3, threshold: 0.1, minimum_calls: 10 };
    assert_eq!((rate, rate.progress()), (expected, 0.3));
    assert_eq!(run, TripRule::ConsecutiveFailures { failures: 1, limit: 5 });
    assert_eq!(run.progress(), 0.2);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_off_is_not_mentioned() {
    let breaker = builder().consecutive_failures(2).build().unwrap();
    calls(&breaker, 1, 0);
    assert_says(&breaker, "closed for 0s: 1 of 2 failures in a row");
    let rules: Vec<_> = breaker.snapshot().trip_rules().collect();
    assert_eq!(rules, [TripRule::ConsecutiveFailures { failures: 1, limit: 2 }]);
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_a_rule_is_one_when_it_would_trip() {
    let breaker = both_rates().consecutive_failures(5).build().unwrap();
    breaker.force_closed();
    calls(&breaker, 7, 0);
    let progress: Vec<f64> = breaker.snapshot().trip_rules().map(|rule| rule.progress()).collect();
    assert_eq!(progress, [1.0, 1.0, 0.0]);
    assert_says(
        &breaker,
        "closed for 0s, held by an operator: 7 of 5 failures in a row; \
         failure rate 1.00 of 0.5 (7 of 7 calls); slow-call rate 0.00 of 0.9 (0 of 7 calls)",
    );
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_has_closed_again_says_why_and_since_when() {
    let breaker = builder().consecutive_failures(1).half_open(HalfOpen::consecutive_successes(1));
    let breaker = breaker.build().unwrap();
    assert_eq!(breaker.snapshot().cause(), None);
    calls(&breaker, 1, 0);
    advance(5 * SECOND).await;
    calls(&breaker, 0, 1);
    advance(125 * SECOND).await;

    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.cause(), Some(Cause::ProbesSucceeded));
    assert_eq!(snapshot.age(), 125 * SECOND);
    assert_says(&breaker, "closed for 2m 5s (the probes succeeded): 0 of 1 failures in a row");
}

#[tokio::test(start_paused = true)]
async fn a_long_time_is_printed_in_its_two_largest_units() {
    let breaker = builder().consecutive_failures(1).build().unwrap();
    let mut ages = Vec::new();
    for seconds in [0, 59, 1, 3539, 1, 82_799, 1, 31_449_600] {
        advance(Duration::from_secs(seconds)).await;
        let line = breaker.snapshot().to_string();
        let (age, _) = line.split_once(':').unwrap();
        ages.push(age.strip_prefix("closed for ").unwrap().to_owned());
    }
    let told = ["0s", "59.0s", "1m 0s", "59m 59s", "1h 0m", "23h 59m", "1d 0h", "365d 0h"];
    assert_eq!(ages, told);
}

// ---- open ---------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn an_open_circuit_says_why_which_attempt_it_is_and_when_the_next_probe_is() {
    let backoff = Backoff::exponential(5 * SECOND, 60 * SECOND).jitter(0.0);
    let breaker = both_rates().open_duration(backoff).build().unwrap();
    calls(&breaker, 3, 1);
    assert_says(&breaker, "open for 0s (3 of 4 calls failed), attempt 1: next probe in 5.0s");
    advance(5 * SECOND).await;
    assert_says(
        &breaker,
        "open for 5.0s (3 of 4 calls failed), attempt 1: the next call is a probe",
    );
    calls(&breaker, 1, 0);
    advance(1300 * MS).await;
    assert_says(&breaker, "open for 1.3s (a probe failed), attempt 2: next probe in 8.7s");
    assert_eq!(breaker.snapshot().attempt(), Some(2));
    assert_eq!(breaker.snapshot().trip_rules().count(), 0);
}

#[test]
fn trip_rules_outlive_the_snapshot_that_they_are_taken_from() {
    let breaker = CircuitBreaker::new("explained");
    let rules = breaker.snapshot().trip_rules();
    assert_eq!(rules.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_says_that_an_operator_holds_the_circuit() {
    let breaker = builder().consecutive_failures(2).build().unwrap();
    breaker.force_open();
    advance(12_000 * SECOND).await;
    assert_says(&breaker, "open for 3h 20m (forced open), held by an operator");
    assert!(breaker.snapshot().is_forced());
    assert_eq!(breaker.snapshot().attempt(), None);

    breaker.force_closed();
    assert_says(
        &breaker,
        "closed for 0s (forced closed), held by an operator: 0 of 2 failures in a row",
    );
    breaker.resume();
    assert!(!breaker.snapshot().is_forced());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_says_for_how_long_an_operator_holds_the_circuit() {
    let breaker = builder().consecutive_failures(2).build().unwrap();
    breaker.force_open_for(600 * SECOND);
    advance(30 * SECOND).await;
    assert_says(&breaker, "open for 30.0s (forced open), held by an operator for another 9m 30s");
    breaker.force_closed_for(60 * SECOND);
    assert_says(
        &breaker,
        "closed for 0s (forced closed), held by an operator for another 1m 0s: 0 of 2 failures in a row",
    );
    advance(60 * SECOND).await;
    assert_says(&breaker, "closed for 1m 0s (forced closed): 0 of 2 failures in a row");
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_a_closed_circuit_does_not_begin_a_new_state() {
    let breaker = builder().consecutive_failures(2).build().unwrap();
    calls(&breaker, 1, 0);
    advance(SECOND).await;
    breaker.reset();
    assert_says(&breaker, "closed for 1.0s: 0 of 2 failures in a row");
}

// ---- half-open ----------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_says_what_is_missing_to_close() {
    let breaker = builder().consecutive_failures(1).probe_timeout(12 * SECOND).build().unwrap();
    breaker.trip();
    advance(5 * SECOND).await;
    let probes = [permit(&breaker), permit(&breaker)];
    advance(400 * MS).await;
    assert_says(
        &breaker,
        "half-open for 400.0ms (the wait is over): 0 of 3 successes, 2 probes in flight, \
         next time-out in 11.6s",
    );
    let [first, second] = probes;
    first.success();
    assert_says(
        &breaker,
        "half-open for 400.0ms (the wait is over): 1 of 3 successes, 1 probe in flight, \
         next time-out in 11.6s",
    );
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.probes_in_flight(), snapshot.probes_to_close()), (1, Some(2)));
    assert_eq!(snapshot.next_probe_timeout(), Some(11_600 * MS));
    second.ignore();
    assert_says(
        &breaker,
        "half-open for 400.0ms (the wait is over): 1 of 3 successes, no probe in flight",
    );
    assert_eq!(breaker.snapshot().next_probe_timeout(), None);
}

#[tokio::test(start_paused = true)]
async fn a_sample_says_what_its_probes_reported() {
    let breaker = both_rates().half_open(HalfOpen::sample(10)).build().unwrap();
    breaker.force_open();
    breaker.resume();
    let [slow, _in_flight] = [permit(&breaker), permit(&breaker)];
    advance(SECOND).await;
    slow.success();
    calls(&breaker, 1, 1);
    assert_says(
        &breaker,
        "half-open for 1.0s (resumed): 3 of 10 probes reported (1 failed, 1 slow), \
         1 probe in flight, next time-out in 29.0s",
    );
    assert_eq!(breaker.snapshot().probes_to_close(), Some(7));
}

#[tokio::test(start_paused = true)]
async fn a_probe_timeout_that_nobody_has_noticed_is_shown_and_reading_it_changes_nothing() {
    let told = Arc::new(AtomicUsize::new(0));
    let count = told.clone();
    let breaker = builder()
        .consecutive_failures(1)
        .probe_timeout(2 * SECOND)
        .on_transition(move |_| _ = count.fetch_add(1, Ordering::Relaxed))
        .build()
        .unwrap();
    breaker.trip();
    advance(5 * SECOND).await;
    let probe = permit(&breaker);
    advance(3 * SECOND).await;
    assert_says(&breaker, "open for 1.0s (a probe timed out), attempt 2: next probe in 4.0s");
    assert_eq!(breaker.snapshot(), breaker.snapshot());
    assert_eq!(told.load(Ordering::Relaxed), 2, "nobody but the observer has been there");
    drop(probe);
}

// ---- for programs -------------------------------------------------------------------------------

#[cfg(feature = "serde")]
mod json {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn assert_serializes(breaker: &CircuitBreaker, expected: &serde_json::Value) {
        assert_eq!(&serde_json::to_value(breaker.snapshot()).unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_circuit_as_json() {
        let breaker = both_rates().consecutive_failures(5).build().unwrap();
        calls(&breaker, 1, 4);
        advance(1500 * MS).await;
        assert_serializes(
            &breaker,
            &json!({
                "state": "closed", "forced": false, "forced_for_seconds": null, "suspected_for_seconds": null, "admitted_share": 1.0, "enforcement": 1.0, "age_seconds": 1.5, "cause": null,
                "calls": 5, "failures": 1, "slow_calls": 0, "consecutive_failures": 0,
                "failure_rate": 0.2, "slow_call_rate": 0.0,
                "trip_rules": [
                    {
                        "kind": "failure_rate",
                        "failures": 1, "calls": 5, "threshold": 0.5, "minimum_calls": 4,
                    },
                    { "kind": "consecutive_failures", "failures": 0, "limit": 5 },
                    {
                        "kind": "slow_call_rate",
                        "slow_calls": 0, "calls": 5, "threshold": 0.9, "minimum_calls": 4,
                    },
                ],
                "attempt": null, "retry_after_seconds": null,
                "calls_in_flight": null, "hung_calls": null, "probes_in_flight": 0, "probes_to_close": null,
                "next_probe_timeout_seconds": null,
            }),
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_as_json() {
        let breaker = builder().consecutive_failures(1).build().unwrap();
        calls(&breaker, 1, 0);
        advance(SECOND).await;
        assert_serializes(
            &breaker,
            &json!({
                "state": "open", "forced": false, "forced_for_seconds": null, "suspected_for_seconds": null, "admitted_share": 0.0, "enforcement": 1.0, "age_seconds": 1.0,
                "cause": { "kind": "consecutive_failures", "failures": 1 },
                "calls": 0, "failures": 0, "slow_calls": 0, "consecutive_failures": 1,
                "failure_rate": null, "slow_call_rate": null, "trip_rules": [],
                "attempt": 1, "retry_after_seconds": 4.0,
                "calls_in_flight": null, "hung_calls": null, "probes_in_flight": 0, "probes_to_close": null,
                "next_probe_timeout_seconds": null,
            }),
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_open_circuit_as_json() {
        let breaker = builder().consecutive_failures(1).build().unwrap();
        breaker.trip();
        advance(5 * SECOND).await;
        let _probes = [permit(&breaker), permit(&breaker)];
        advance(SECOND).await;
        assert_serializes(
            &breaker,
            &json!({
                "state": "half_open", "forced": false, "forced_for_seconds": null, "suspected_for_seconds": null, "admitted_share": 0.0, "enforcement": 1.0, "age_seconds": 1.0,
                "cause": { "kind": "wait_over" },
                "calls": 0, "failures": 0, "slow_calls": 0, "consecutive_failures": 0,
                "failure_rate": null, "slow_call_rate": null, "trip_rules": [],
                "attempt": null, "retry_after_seconds": 0.0,
                "calls_in_flight": null, "hung_calls": null, "probes_in_flight": 2, "probes_to_close": 3,
                "next_probe_timeout_seconds": 29.0,
            }),
        );
    }

    #[tokio::test(start_paused = true)]
    async fn transitions_as_json_say_how_long_ago_they_were() {
        let breaker = builder().consecutive_failures(1).build().unwrap();
        calls(&breaker, 1, 0);
        advance(5 * SECOND).await;
        let _probe = permit(&breaker);
        advance(1500 * MS).await;
        breaker.force_open();
        assert_eq!(
            serde_json::to_value(breaker.history()).unwrap(),
            json!([
                {
                    "breaker": "explained", "from": "closed", "to": "open",
                    "cause": { "kind": "consecutive_failures", "failures": 1 },
                    "ago_seconds": 6.5, "open_duration_seconds": 5.0, "attempt": 1,
                    "enforcement": 1.0, "calls_in_flight": 0, "last_failure": null,
                },
                {
                    "breaker": "explained", "from": "open", "to": "half_open",
                    "cause": { "kind": "wait_over" },
                    "ago_seconds": 1.5, "open_duration_seconds": null, "attempt": null,
                    "enforcement": 1.0, "calls_in_flight": 0, "last_failure": null,
                },
                {
                    "breaker": "explained", "from": "half_open", "to": "open",
                    "cause": { "kind": "force_open" },
                    "ago_seconds": 0.0, "open_duration_seconds": null, "attempt": null,
                    "enforcement": 1.0, "calls_in_flight": 0, "last_failure": null,
                },
            ]),
        );
    }
}
