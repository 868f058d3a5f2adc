//! Assertions for tests of settings.

use std::fmt::Write;
use std::time::Duration;

use super::hints::hints;
use super::incidents::Incident;
use super::report::{Replay, Report, run};
use super::traffic::Traffic;
use crate::config::CircuitBreakerBuilder;
use crate::snapshot::Length;

/// Asserts that in each [incident](Report::incidents) of the traffic the circuit opens within this time.
///
/// # Panics
/// Panics if it does not, if the traffic has no incident, and if a setting is invalid. The message says what the circuit
/// looked like at that time, and which settings do not fit the traffic:
///
/// ```text
/// the circuit did not open within 10s of the incident at 1m 0s (a black hole of 60s: 1 call per second, each fails after 1s)
///   then: closed for 1m 10s: failure rate not judged yet (28 of 50 calls)
///   hint: minimum_calls is 50, and no circuit counts more than 31 calls in any 30.0s of this traffic
/// ```
///
/// # Example
/// ```should_panic
/// use std::time::Duration;
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker::replay::{Scenario, assert_opens_within};
///
/// // In 30 s there are only 30 calls.
/// let settings = CircuitBreaker::builder("search").failure_rate_threshold(0.5).minimum_calls(50);
/// let outage = Scenario::black_hole(1, Duration::from_secs(1));
/// assert_opens_within(&settings, &outage, Duration::from_secs(10));
/// ```
#[track_caller]
pub fn assert_opens_within(
    settings: &CircuitBreakerBuilder,
    traffic: impl Traffic,
    within: Duration,
) {
    let report = run_or_panic(settings, &traffic);
    check_incidents(settings, &traffic, &report, |incident| {
        let is_late = incident.opened_after.is_none_or(|after| after > within);
        let problem = format!("did not open within {within:?} of the incident");
        is_late.then(|| (problem, incident.began.saturating_add(within)))
    });
}

/// Asserts that after each [incident](Report::incidents) of the traffic the circuit is closed within this time.
///
/// # Panics
/// Panics as [`assert_opens_within`] does, and if no incident ends within the traffic. One that has no end is not looked at.
#[track_caller]
pub fn assert_recovers_within(
    settings: &CircuitBreakerBuilder,
    traffic: impl Traffic,
    within: Duration,
) {
    let report = run_or_panic(settings, &traffic);
    let has_end = report.incidents().iter().any(|incident| incident.ended.is_some());
    assert!(has_end, "no incident ends within {}", report.name);
    check_incidents(settings, &traffic, &report, |incident| {
        let ended = incident.ended?;
        let is_late = incident.recovered_after.is_none_or(|after| after > within);
        let problem = format!("was not closed within {within:?} of the end of the incident");
        is_late.then(|| (problem, ended.saturating_add(within)))
    });
}

/// Asserts that at most this share of the calls that would have succeeded is shed, from 0.0 to 1.0. See
/// [`Report::shed_share`].
///
/// # Panics
/// Panics if more is shed, if the share is none, and if a setting is invalid.
#[track_caller]
pub fn assert_sheds_at_most(settings: &CircuitBreakerBuilder, traffic: impl Traffic, share: f64) {
    assert!((0.0..=1.0).contains(&share), "a share of {share} (allowed: 0.0 to 1.0)");
    let report = run_or_panic(settings, &traffic);
    if report.shed_share() > share {
        panic!(
            "{} of {} good calls were shed, which is more than {share} of them\n{}",
            report.shed_good(),
            report.shed_good() + report.sent_good(),
            first_transitions(&report)
        );
    }
}

/// Panics with the first problem that is found, and what the circuit looks like at that time.
#[track_caller]
fn check_incidents(
    settings: &CircuitBreakerBuilder,
    traffic: impl Traffic,
    report: &Report,
    problem: impl Fn(&Incident) -> Option<(String, Duration)>,
) {
    assert!(!report.incidents().is_empty(), "there is no incident in {}", report.name);
    let found = report.incidents().iter().find_map(|it| Some((it, problem(it)?)));
    if let Some((incident, (problem, at))) = found {
        panic!("{}", explain(settings, &traffic, incident, &problem, at));
    }
}

fn explain(
    settings: &CircuitBreakerBuilder,
    traffic: impl Traffic,
    incident: &Incident,
    problem: &str,
    at: Duration,
) -> String {
    let name = traffic.workload().name.into_owned();
    let mut text = format!("the circuit {problem} at {} ({name})", Length(incident.began));
    let replay = Replay::new(settings, traffic.workload(), 0).expect("the settings are valid");
    if let Some(snapshot) = replay.snapshot_at(&incident.key, at) {
        _ = write!(text, "\n  then: {snapshot}");
    }
    for hint in hints(settings, &traffic).expect("the settings are valid") {
        _ = write!(text, "\n  hint: {hint}");
    }
    text
}

fn first_transitions(report: &Report) -> String {
    let lines = report.transitions().iter().take(5).map(|it| format!("  {it}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn run_or_panic(settings: &CircuitBreakerBuilder, traffic: impl Traffic) -> Report {
    match run(settings, traffic) {
        Ok(report) => report,
        Err(error) => panic!("{error}"),
    }
}
