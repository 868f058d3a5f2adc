//! Traffic that is made up.

use std::time::Duration;

use tower_breaker::replay::{self, Call, Scenario};
use tower_breaker::{CircuitBreaker, Ending, State};

use crate::{ms, secs};

/// Returns the calls of the scenario and of no other time.
fn incident(scenario: &Scenario, from: u64, to: u64) -> Vec<Call> {
    let calls = scenario.trace();
    let calls = calls.calls();
    calls.iter().filter(|call| (secs(from)..secs(to)).contains(&call.at)).cloned().collect()
}

fn is_well(call: &Call) -> bool {
    (call.ending, call.duration) == (Some(Ending::Success), ms(20))
}

fn failed(call: &Call) -> bool {
    call.ending == Some(Ending::Failure)
}

#[test]
fn calls_come_evenly_and_are_well_before_and_after_the_incident() {
    let scenario = Scenario::always_failing(3);
    let trace = scenario.trace();
    assert_eq!(trace.calls().len(), 3 * 300);
    assert_eq!(trace.calls()[4].at, secs(4) / 3);
    let (before, after) = (incident(&scenario, 0, 60), incident(&scenario, 120, 300));
    assert!(before.iter().chain(&after).all(is_well));
    assert_eq!((before.len(), after.len()), (180, 540));
}

#[test]
fn the_lengths_can_be_set() {
    let scenario =
        Scenario::always_failing(1).healthy_before(secs(1)).lasting(secs(2)).healthy_after(secs(3));
    let failing: Vec<bool> = scenario.trace().calls().iter().map(failed).collect();
    assert_eq!(failing, [false, true, true, false, false, false]);
}

#[test]
fn each_scenario_breaks_calls_in_its_own_way() {
    let of = |scenario: Scenario| incident(&scenario, 60, 120);
    assert!(
        of(Scenario::always_failing(10)).iter().all(|call| failed(call) && call.duration == ms(20))
    );
    assert!(
        of(Scenario::black_hole(10, secs(1)))
            .iter()
            .all(|call| failed(call) && call.duration == secs(1))
    );
    assert!(
        of(Scenario::slow(10, secs(3)))
            .iter()
            .all(|call| !failed(call) && call.duration == secs(3))
    );
    let brown_out = of(Scenario::brown_out(100, 0.3));
    let share =
        brown_out.iter().filter(|call| failed(call)).count() as f64 / brown_out.len() as f64;
    assert!((0.28..0.32).contains(&share), "{share}");
    let flapping = of(Scenario::flapping(1, secs(20)));
    assert!(
        flapping.iter().all(|call| failed(call) == (call.at < secs(80) || call.at >= secs(100)))
    );
    let a_minute = Scenario::one_request_a_minute().trace();
    assert_eq!(a_minute.calls().len(), 90);
    assert_eq!(a_minute.calls().iter().filter(|call| failed(call)).count(), 30);
}

#[test]
fn the_calls_of_one_lost_connection_fail_at_the_same_moment() {
    let trace = Scenario::one_lost_connection(50, 3).trace();
    let ends: Vec<_> = trace
        .calls()
        .iter()
        .filter(|call| failed(call))
        .map(|call| call.at + call.duration)
        .collect();
    assert_eq!(ends, [secs(60) + ms(60); 3]);
}

#[test]
fn an_overloaded_dependency_recovers_sooner_if_calls_are_shed() {
    let scenario = Scenario::overload(90, 100, secs(1));
    // 900 calls have come in the stall, and the queue becomes shorter by 10 calls per second.
    let alone: Vec<Call> =
        scenario.trace().calls().iter().filter(|call| failed(call)).cloned().collect();
    assert!(alone.last().unwrap().at > secs(140), "{:?}", alone.last());

    let settings = CircuitBreaker::builder("orders").consecutive_failures(5);
    let report = replay::run(&settings, &scenario).unwrap();
    let met = report.met().unwrap();
    let last_failure = met.iter().rfind(|call| failed(call)).unwrap();
    assert!(last_failure.at < secs(80), "{last_failure:?}");
    assert_eq!(
        report.shed_bad() + report.sent_bad(),
        met.iter().filter(|call| failed(call)).count() as u64
    );
    assert!(report.sent_bad() + report.shed() < alone.len() as u64 / 2, "{report}");

    // A trace of the same calls cannot show that.
    let open_loop = replay::run(&settings, scenario.trace()).unwrap();
    assert_eq!(open_loop.met(), None);
    assert_eq!(open_loop.sent_bad() + open_loop.shed_bad(), alone.len() as u64);
    assert!(
        open_loop.to_string().contains("recovers because it receives fewer calls is not shown")
    );
    assert!(!report.to_string().contains("is not shown"));
}

#[test]
fn without_a_breaker_an_overload_is_as_its_trace() {
    let scenario = Scenario::overload(90, 100, secs(1));
    let report = replay::run(&CircuitBreaker::builder("x").no_trip_rules(), &scenario).unwrap();
    assert_eq!(report.met().unwrap(), &*scenario.trace().calls());
}

#[test]
#[should_panic(expected = "a rate of 0 calls per second (allowed: 1 to 1000000)")]
fn a_rate_of_zero_is_refused() {
    _ = Scenario::always_failing(0);
}

#[test]
fn a_scenario_says_what_it_is() {
    for (scenario, text) in [
        (Scenario::always_failing(5), "an outage of 60s: 5 calls per second, each fails"),
        (
            Scenario::black_hole(50, secs(1)),
            "a black hole of 60s: 50 calls per second, each fails after 1s",
        ),
        (
            Scenario::brown_out(50, 0.3),
            "a brown-out of 60s: 50 calls per second, a share of 0.3 fails",
        ),
        (Scenario::slow(50, secs(3)), "a slow-down of 60s: 50 calls per second, each takes 3s"),
        (
            Scenario::flapping(50, secs(7)),
            "60s of flapping: 50 calls per second, down and up for 7s each",
        ),
        (
            Scenario::one_lost_connection(50, 3),
            "one lost connection: 50 calls per second, 3 fail at once",
        ),
        (Scenario::one_request_a_minute(), "an outage of 1800s: one call per minute, each fails"),
        (
            Scenario::overload(90, 100, secs(1)),
            "a stall of 10s: 90 calls per second, 100 can be served, each fails after 1s",
        ),
    ] {
        assert_eq!(scenario.to_string(), text);
    }
}

#[test]
fn a_lost_connection_lasts_as_long_as_its_calls() {
    let scenario = Scenario::one_lost_connection(50, 3);
    let longer = scenario.clone().lasting(secs(10));
    assert_eq!(longer.trace().calls(), scenario.trace().calls());
}

#[test]
fn a_call_that_is_never_answered_takes_20_years() {
    let settings = CircuitBreaker::builder("x").consecutive_failures(5).hung_after(secs(2));
    for scenario in [
        Scenario::black_hole(5, Duration::MAX),
        Scenario::slow(5, Duration::MAX),
        Scenario::overload(5, 10, Duration::MAX),
    ] {
        let report = replay::run(&settings, &scenario).unwrap();
        assert!(report.openings() > 0, "{report}");
    }
    let report = replay::run(&settings, Scenario::black_hole(5, Duration::MAX)).unwrap();
    assert!(report.duration() > secs(20 * 365 * 24 * 3600), "{report}");
}

#[test]
#[should_panic(expected = "630720090000 calls (allowed: 100000000)")]
fn a_scenario_that_does_not_fit_into_memory_is_refused() {
    _ = Scenario::always_failing(1000)
        .healthy_before(Duration::MAX)
        .healthy_after(secs(30))
        .trace();
}

#[test]
#[should_panic(expected = "a share of 30 (allowed: 0.0 to 1.0)")]
fn a_share_that_is_none_is_refused() {
    _ = Scenario::brown_out(50, 30.0);
}

#[test]
fn an_overload_ends_when_its_last_call_does() {
    // Without a healthy end, calls are still waiting when the last one comes.
    let scenario = Scenario::overload(90, 100, secs(1)).healthy_after(Duration::ZERO);
    let report = replay::run(&CircuitBreaker::builder("x").no_trip_rules(), &scenario).unwrap();
    let last = report.met().unwrap().iter().map(|call| call.at + call.duration).max();
    assert_eq!(Some(report.duration()), last);
    let times = [State::Closed, State::Open, State::HalfOpen].map(|state| report.time_in(state));
    assert_eq!(times, [report.duration(), Duration::ZERO, Duration::ZERO]);
}
