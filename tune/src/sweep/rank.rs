//! How good settings are, and which are the best.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use tower_breaker::replay::{Incident, Report, Transition};
use tower_breaker::{Config, State};

/// What settings made of the traffic.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tried {
    /// The place in the order in which they were tried.
    pub(crate) number: usize,
    #[serde(skip)]
    pub(crate) values: Vec<String>,
    /// From the beginning of an incident to open, on average. An incident in which the circuit did not open counts with its
    /// whole length.
    #[serde(rename = "time_to_open_seconds", serialize_with = "seconds")]
    pub(crate) time_to_open: Duration,
    /// In how many incidents the circuit did not open.
    pub(crate) missed: usize,
    /// From the end of an incident to closed, on average over those after which it closed. `None` if it never did.
    #[serde(rename = "time_to_close_seconds", serialize_with = "optional_seconds")]
    pub(crate) time_to_close: Option<Duration>,
    pub(crate) sent_bad: u64,
    pub(crate) shed_bad: u64,
    pub(crate) shed_good: u64,
    pub(crate) shed_share: f64,
    pub(crate) openings: u64,
    pub(crate) flaps: u64,
    /// Whether no other settings are better in both the time to open and the good calls shed.
    pub(crate) is_on_front: bool,
    #[serde(rename = "settings")]
    pub(crate) config: Config,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn optional_seconds<S: serde::Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

impl Tried {
    /// `base` has the incidents that are looked at.
    pub(super) fn new(
        number: usize,
        values: Vec<String>,
        config: Config,
        base: &Report,
        report: &Report,
    ) -> Self {
        let circuits = Circuits::new(report);
        let mut times_to_open = Vec::new();
        let mut times_to_close = Vec::new();
        let mut missed = 0;
        for incident in base.incidents() {
            let end = incident.ended.unwrap_or(base.duration());
            let opened_after = circuits.opened_after(incident);
            missed += usize::from(opened_after.is_none());
            times_to_open.push(opened_after.unwrap_or(end.saturating_sub(incident.began)));
            times_to_close.extend(circuits.closed_after(incident));
        }
        Self {
            number,
            values,
            config,
            time_to_open: mean(&times_to_open).unwrap_or_default(),
            missed,
            time_to_close: mean(&times_to_close),
            sent_bad: report.sent_bad(),
            shed_bad: report.shed_bad(),
            shed_good: report.shed_good(),
            shed_share: report.shed_share(),
            openings: report.openings(),
            flaps: report.flaps(),
            is_on_front: false,
        }
    }
}

impl Tried {
    /// Whether other settings made the same of the traffic.
    pub(crate) fn does_the_same(&self, other: &Self) -> bool {
        let numbers = |it: &Self| {
            let times = (it.time_to_open, it.time_to_close);
            (times, it.missed, it.sent_bad, it.shed_bad, it.shed_good, it.openings, it.flaps)
        };
        numbers(self) == numbers(other)
    }
}

fn mean(times: &[Duration]) -> Option<Duration> {
    let sum: Duration = times.iter().sum();
    (!times.is_empty()).then(|| sum.div_f64(times.len() as f64))
}

/// The transitions of each circuit.
struct Circuits<'a>(HashMap<&'a str, Vec<&'a Transition>>);

impl<'a> Circuits<'a> {
    fn new(report: &'a Report) -> Self {
        let mut circuits: HashMap<&str, Vec<&Transition>> = HashMap::new();
        for transition in report.transitions() {
            circuits.entry(&*transition.key).or_default().push(transition);
        }
        Self(circuits)
    }

    /// The transitions of the circuit after this time, and the state that it has then.
    fn from(&self, key: &str, at: Duration) -> (State, &[&'a Transition]) {
        let all = self.0.get(key).map(Vec::as_slice).unwrap_or_default();
        let (before, after) = all.split_at(all.partition_point(|transition| transition.at <= at));
        (before.last().map_or(State::Closed, |transition| transition.to), after)
    }

    /// The same as [`Incident::opened_after`], for an incident of another replay.
    fn opened_after(&self, incident: &Incident) -> Option<Duration> {
        let (state, after) = self.from(&incident.key, incident.began);
        // A trip at the very beginning is before `after`.
        if state != State::Closed {
            return Some(Duration::ZERO);
        }
        let opened = after.iter().find(|it| it.to == State::Open)?;
        let is_within = incident.ended.is_none_or(|ended| opened.at < ended);
        is_within.then(|| opened.at - incident.began)
    }

    /// The same as [`Incident::recovered_after`], for an incident of another replay.
    fn closed_after(&self, incident: &Incident) -> Option<Duration> {
        let ended = incident.ended?;
        let (state, after) = self.from(&incident.key, ended);
        if state == State::Closed {
            return Some(Duration::ZERO);
        }
        after.iter().find(|it| it.to == State::Closed).map(|closed| closed.at - ended)
    }
}

/// All settings that were tried, the best first.
pub(crate) struct Ranking {
    pub(crate) tried: Vec<Tried>,
    /// How the best was chosen.
    pub(crate) rule: String,
}

impl Ranking {
    /// `shed_costs` is how many failed calls a good call that is shed is worth.
    pub(super) fn new(mut tried: Vec<Tried>, shed_costs: f64) -> Self {
        mark_front(&mut tried);
        tried.sort_by(|a, b| compare(a, b, shed_costs));
        let times = if shed_costs == 1.0 { String::new() } else { format!("{shed_costs} times ") };
        let rule = format!(
            "of those on the Pareto front, the one with the smallest sum of the calls that failed and {times}the \
             good calls that were shed"
        );
        Self { tried, rule }
    }

    /// There is at least one.
    pub(crate) fn chosen(&self) -> &Tried {
        &self.tried[0]
    }
}

/// Those on the front come first, and then those that cost less.
fn compare(a: &Tried, b: &Tried, shed_costs: f64) -> Ordering {
    let cost = |it: &Tried| it.sent_bad as f64 + shed_costs * it.shed_good as f64;
    let close = |it: &Tried| it.time_to_close.unwrap_or(Duration::MAX);
    (b.is_on_front.cmp(&a.is_on_front))
        .then(cost(a).total_cmp(&cost(b)))
        .then(a.time_to_open.cmp(&b.time_to_open))
        .then(close(a).cmp(&close(b)))
        .then(a.shed_bad.cmp(&b.shed_bad))
        .then(a.openings.cmp(&b.openings))
        .then(a.flaps.cmp(&b.flaps))
        .then(a.number.cmp(&b.number))
}

/// Marks the settings of which no other is better in one respect and not worse in the other.
fn mark_front(tried: &mut [Tried]) {
    tried.sort_by_key(|it| (it.time_to_open, it.shed_good));
    let (mut least_shed, mut its_time) = (u64::MAX, Duration::ZERO);
    for it in tried {
        if it.shed_good < least_shed {
            (least_shed, its_time) = (it.shed_good, it.time_to_open);
            it.is_on_front = true;
        } else {
            it.is_on_front = it.shed_good == least_shed && it.time_to_open == its_time;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tower_breaker::replay::Scenario;

    use super::*;

    fn tried(number: usize, seconds: u64, shed_good: u64) -> Tried {
        let config = Config::default();
        let scenario = Scenario::always_failing(1).lasting(Duration::from_secs(1));
        let report = tower_breaker::replay::run(&config.builder(""), &scenario).unwrap();
        Tried {
            time_to_open: Duration::from_secs(seconds),
            shed_good,
            ..Tried::new(number, Vec::new(), config, &report, &report)
        }
    }

    proptest! {
        #[test]
        fn the_front_has_those_that_no_other_dominates(points in prop::collection::vec((0..6_u64, 0..6_u64), 1..12)) {
            let mut all: Vec<Tried> = points.iter().enumerate().map(|(i, (s, g))| tried(i, *s, *g)).collect();
            mark_front(&mut all);
            for it in &all {
                let dominates = |other: &Tried| {
                    other.time_to_open <= it.time_to_open && other.shed_good <= it.shed_good
                        && (other.time_to_open < it.time_to_open || other.shed_good < it.shed_good)
                };
                prop_assert_eq!(it.is_on_front, !all.iter().any(dominates));
            }
        }
    }

    #[test]
    fn the_chosen_one_is_on_the_front_and_the_cheapest_there() {
        let all = || {
            let points = [(0, 1, 300, 10), (1, 2, 40, 40), (2, 9, 0, 100), (3, 3, 41, 0)];
            points.map(|(number, seconds, shed_good, sent_bad)| Tried {
                sent_bad,
                ..tried(number, seconds, shed_good)
            })
        };
        assert_eq!(Ranking::new(all().into(), 1.0).chosen().number, 1);
        assert_eq!(Ranking::new(all().into(), 0.1).chosen().number, 0);
        assert_eq!(Ranking::new(all().into(), 10.0).chosen().number, 2);
        assert_eq!(Ranking::new(all().into(), 1.0).tried[3].number, 3);
    }

    #[test]
    fn the_times_of_the_same_settings_are_those_of_the_library() {
        let config: Config =
            toml::from_str("consecutive_failures = 3\nopen_duration = '1s'").unwrap();
        let scenario = Scenario::flapping(10, Duration::from_secs(4));
        let trace = scenario.trace();
        let report = tower_breaker::replay::run(&config.builder(""), &trace).unwrap();
        assert!(report.incidents().len() > 5);
        let circuits = Circuits::new(&report);
        for incident in report.incidents() {
            assert_eq!(circuits.opened_after(incident), incident.opened_after);
            assert_eq!(circuits.closed_after(incident), incident.recovered_after);
        }
    }
}
