//! [`Reading`]: the gauges of a circuit that has its series for itself. They do not add up, so the circuits of
//! a registry have none.

use std::iter::zip;
use std::time::{Duration, SystemTime};

use ::metrics::Gauge;

use super::labels::RULES;
use super::late::Late;
use super::names::{
    ADMITTED_SHARE, ATTEMPT, CALLS_IN_FLIGHT, CALLS_OVERDUE, CONSECUTIVE_FAILURES, FAILURE_RATE,
    Labels, Metric, NEXT_PROBE, Registrar, SLOW_CALL_RATE, SUSPECTED, TRIP_PROGRESS,
    TRIP_THRESHOLD,
};
use crate::machine::{Cause, State, View};

const SERIES: [(Metric, &Labels); 18] = [
    (CONSECUTIVE_FAILURES, &[]),
    (FAILURE_RATE, &[]),
    (SLOW_CALL_RATE, &[]),
    (CALLS_IN_FLIGHT, &[]),
    (CALLS_OVERDUE, &[("kind", "slow")]),
    (CALLS_OVERDUE, &[("kind", "hung")]),
    (ADMITTED_SHARE, &[]),
    (SUSPECTED, &[]),
    (ATTEMPT, &[]),
    (NEXT_PROBE, &[]),
    (TRIP_PROGRESS, &[("rule", RULES[0])]),
    (TRIP_PROGRESS, &[("rule", RULES[1])]),
    (TRIP_PROGRESS, &[("rule", RULES[2])]),
    (TRIP_PROGRESS, &[("rule", RULES[3])]),
    (TRIP_THRESHOLD, &[("rule", RULES[0])]),
    (TRIP_THRESHOLD, &[("rule", RULES[1])]),
    (TRIP_THRESHOLD, &[("rule", RULES[2])]),
    (TRIP_THRESHOLD, &[("rule", RULES[3])]),
];

/// What is to be done with a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Value {
    Show(f64),
    /// There is nothing to show: the gauge becomes zero if it exists.
    #[default]
    Nothing,
    /// The gauge shows what was judged last, which still holds.
    Keep,
}

/// A value for each of the [`SERIES`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Reading([Value; SERIES.len()]);

impl Reading {
    /// `has_tripped` says that the circuit has just opened by a trip rule. Later, and while it is half-open,
    /// its counts are those of the probes, which say nothing about the trip rules.
    pub(super) fn of(view: &View, has_tripped: bool) -> Self {
        let View { rules, tally, .. } = view;
        let is_judged = view.may_trip() || has_tripped;
        let judged = |value: Option<f64>| if is_judged { Value::show(value) } else { Value::Keep };
        let streak = rules.consecutive_failures.map(|_| tally.streak as f64);
        let [failure_rate, slow_call_rate] = view.rates();
        let has_window = rules.window.is_some();
        let has_slow_calls = has_window && rules.slow_call_duration.is_some();
        let rate = |exists: bool, rate: Option<f64>| match rate {
            _ if !exists => Value::Nothing,
            _ if !is_judged => Value::Keep,
            None if tally.counts.calls == 0 => Value::Show(0.0),
            None => Value::Keep,
            rate => Value::show(rate),
        };
        let mut rates = [rate(has_window, failure_rate), rate(has_slow_calls, slow_call_rate)];
        match view.cause {
            Some(cause @ Cause::FailureRate { .. }) => rates[0] = Value::show(cause.rate()),
            Some(cause @ Cause::SlowCallRate { .. }) => rates[1] = Value::show(cause.rate()),
            _ => {}
        }
        let is_closed = view.state == State::Closed;
        let is_waiting = view.state == State::Open;
        let next_probe = view.retry_after.filter(|_| is_waiting).map(unix_seconds_in);
        let [p1, p2, p3, p4] = rules.progress(view.judged).map(judged);
        let [t1, t2, t3, t4] = rules.thresholds().map(Value::show);
        Self([
            judged(streak),
            rates[0],
            rates[1],
            Value::show(view.in_flight.map(|it| it.calls as f64)),
            Value::show(view.in_flight.filter(|_| rules.slow_in_flight).map(|it| it.slow as f64)),
            Value::show(
                view.in_flight.filter(|_| rules.hung_after.is_some()).map(|it| it.hung as f64),
            ),
            Value::show((rules.ramp > 0).then_some(view.admitted_share)),
            Value::show(view.suspected_for.map(|_| 1.0)),
            Value::show((!is_closed).then(|| view.attempts.into())),
            Value::show(next_probe),
            p1,
            p2,
            p3,
            p4,
            t1,
            t2,
            t3,
            t4,
        ])
    }

    /// Replaces what has not been published yet by a newer reading.
    pub(super) fn replace(&mut self, newer: &Self) {
        for (value, newer) in zip(&mut self.0, newer.0) {
            if newer != Value::Keep {
                *value = newer;
            }
        }
    }
}

impl Value {
    fn show(value: Option<f64>) -> Self {
        value.map_or(Self::Nothing, Self::Show)
    }
}

/// Returns the time of day in this many nanoseconds, as a Unix timestamp.
pub(super) fn unix_seconds_in(nanos: u64) -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (now + Duration::from_nanos(nanos)).as_secs_f64()
}

/// The handles of the [`SERIES`].
pub(super) struct Gauges([Late<Gauge>; SERIES.len()]);

impl Default for Gauges {
    fn default() -> Self {
        Self(SERIES.map(|(metric, labels)| Late::new(metric, labels)))
    }
}

impl Gauges {
    pub(super) fn set(&self, reading: &Reading, to: &Registrar) {
        for (gauge, value) in zip(&self.0, reading.0) {
            match value {
                Value::Show(value) => gauge.set(value, to),
                Value::Nothing => gauge.set_if_begun(0.0),
                Value::Keep => {}
            }
        }
    }

    /// Tells the recorder that the series are still in use.
    pub(super) fn keep(&self) {
        self.0.iter().for_each(Late::keep);
    }
}
