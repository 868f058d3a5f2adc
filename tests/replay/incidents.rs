//! What counts as an incident.

use tower_breaker::replay::{self, Call, Incident, Trace};
use tower_breaker::{CircuitBreaker, Ending};

use crate::{ms, secs};

/// One call per second: `.` is good, `x` is bad, `-` is neither.
fn trace(calls: &str) -> Trace {
    let calls = calls.chars().zip(0..).map(|(kind, second)| {
        let ending = match kind {
            '.' => Ending::Success,
            'x' => Ending::Failure,
            _ => Ending::Ignored,
        };
        Call::new(secs(second), ending, ms(20))
    });
    calls.collect()
}

/// Returns when the incidents begin and end, in seconds.
fn incidents(calls: &str) -> Vec<(u64, Option<u64>)> {
    let settings = CircuitBreaker::builder("x").no_trip_rules();
    let report = replay::run(&settings, trace(calls)).unwrap();
    let times = |it: &Incident| (it.began.as_secs(), it.ended.map(|ended| ended.as_secs()));
    report.incidents().iter().map(times).collect()
}

#[test]
fn three_bad_calls_in_a_row_are_an_incident_and_two_are_none() {
    assert_eq!(incidents("..xx......x...xx....."), []);
    assert_eq!(incidents("..xxx......"), [(2, Some(5))]);
}

#[test]
fn an_incident_ends_with_the_first_good_call_after_the_last_bad_one() {
    assert_eq!(incidents("xxx..xx.x.............."), [(0, Some(9))]);
}

#[test]
fn an_incident_has_no_end_until_enough_good_calls_follow() {
    assert_eq!(incidents("..xxxx.."), [(2, None)]);
}

#[test]
fn a_long_outage_ends_after_twenty_good_calls() {
    let outage = "x".repeat(100);
    assert_eq!(incidents(&format!("{outage}{}", ".".repeat(19))), [(0, None)]);
    let again = format!("{outage}{}xxx.......", ".".repeat(20));
    assert_eq!(incidents(&again), [(0, Some(100)), (120, Some(123))]);
}

#[test]
fn one_bad_call_of_three_is_no_incident_and_one_of_two_is() {
    assert_eq!(incidents(&"x..".repeat(20)), []);
    assert_eq!(incidents(&"x.".repeat(20)), [(0, None)]);
}

#[test]
fn calls_that_say_nothing_change_nothing() {
    assert_eq!(incidents("--x-x--x-.....------.."), [(2, Some(9))]);
}

#[test]
fn slow_calls_are_bad_if_there_is_a_rule_for_them() {
    let slow: Trace = (0..10).map(|s| Call::new(secs(s), Ending::Success, secs(3))).collect();
    let settings = CircuitBreaker::builder("x").slow_call_duration_threshold(secs(3));
    let without_rule = settings.clone().failure_rate_threshold(0.5);
    assert_eq!(replay::run(&without_rule, &slow).unwrap().incidents(), []);
    let with_rule = settings.slow_call_rate_threshold(0.5);
    assert_eq!(replay::run(&with_rule, &slow).unwrap().incidents().len(), 1);
}
