//! [`Incident`]: when the dependency was broken, and what the circuit did about it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::circuit::{Fate, Transition};
use crate::machine::{Rules, State, nanos};

/// A time in which the dependency was broken, and what the circuit made of it. Returned by
/// [`Report::incidents`](super::Report::incidents).
///
/// The incident of a [`Scenario`](super::Scenario) is known. In a trace, it is seen from the calls of a key in the order in
/// which they began, whether or not they are admitted: a score rises by 2, to 20 at most, with each bad call, and falls by
/// 1, to 0 at least, with each good one. An incident is a time in which the score stays above 0 and reaches 6. So three
/// bad calls in a row make one, and so do calls of which well over a third is bad. A call is bad if the settings count
/// it as failed, as slow where there is a
/// [rule](crate::CircuitBreakerBuilder::slow_call_rate_threshold) for that, or as
/// [hung](crate::CircuitBreakerBuilder::hung_after).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incident {
    /// The circuit: the key of its calls.
    pub key: Arc<str>,
    /// When the first bad call began, since the beginning of the trace. In a scenario, when the incident began.
    pub began: Duration,
    /// When the first good call began after the last bad one. In a scenario, when the incident ended.
    ///
    /// `None` if the trace ends before.
    pub ended: Option<Duration>,
    /// How long after the beginning the circuit opened. Zero if it was not closed when the incident began.
    ///
    /// `None` if it stayed closed.
    pub opened_after: Option<Duration>,
    /// How many calls were sent to the dependency in the incident before the circuit opened.
    pub sent: u64,
    /// How long after the end the circuit was closed. Zero if it was closed then.
    ///
    /// `None` if the incident did not end, or the circuit was not closed when the trace ended.
    pub recovered_after: Option<Duration>,
}

/// Whether the settings count the call as bad.
fn is_bad(rules: &Rules, call: &Call) -> Option<bool> {
    call.ending?;
    let took = nanos(call.duration);
    let verdict = rules.verdict(call.report(), took);
    let is_slow = verdict.slow && rules.slow_call_rate.is_some();
    let has_hung = rules.hung_after.is_some_and(|limit| took >= limit);
    let is_bad = verdict.failed() || is_slow || has_hung;
    (is_bad || verdict.counted.is_some()).then_some(is_bad)
}

/// Finds the incidents in the calls of one circuit. The end of one is `None` if the trace ends before.
pub(super) fn find<'a>(
    rules: &Rules,
    calls: impl Iterator<Item = &'a Call>,
) -> Vec<(Duration, Option<Duration>)> {
    let mut found = Vec::new();
    let (mut score, mut is_incident) = (0_u32, false);
    let (mut began, mut first_good) = (Duration::ZERO, None);
    for call in calls {
        match is_bad(rules, call) {
            Some(true) => {
                if score == 0 {
                    began = call.at;
                }
                score = (score + 2).min(20);
                is_incident |= score >= 6;
                first_good = None;
            }
            Some(false) => {
                first_good.get_or_insert(call.at);
                score = score.saturating_sub(1);
                if score == 0 && is_incident {
                    found.push((began, first_good));
                    is_incident = false;
                }
            }
            None => {}
        }
    }
    if is_incident {
        found.push((began, None));
    }
    found
}

/// The transitions of a circuit, in the order in which they happened.
pub(super) struct Course<'a> {
    transitions: &'a [Transition],
    openings: Vec<Duration>,
    closings: Vec<Duration>,
}

impl<'a> Course<'a> {
    pub(super) fn of(transitions: &'a [Transition]) -> Self {
        let times_to =
            |state| transitions.iter().filter(|it| it.to == state).map(|it| it.at).collect();
        Self { transitions, openings: times_to(State::Open), closings: times_to(State::Closed) }
    }

    fn state_at(&self, at: Duration) -> State {
        let before = self.transitions.partition_point(|transition| transition.at <= at);
        before.checked_sub(1).map_or(State::Closed, |last| self.transitions[last].to)
    }
}

/// Returns the first of these times that is not before `at`.
fn first_from(times: &[Duration], at: Duration) -> Option<Duration> {
    times.get(times.partition_point(|time| *time < at)).copied()
}

impl Incident {
    /// Says what the circuit made of an incident. `calls` returns those of the circuit that begin in a time.
    pub(super) fn new<C: Iterator<Item = Fate>>(
        key: &Arc<str>,
        (began, ended): (Duration, Option<Duration>),
        course: &Course<'_>,
        calls: impl Fn(Range<Duration>) -> C,
    ) -> Self {
        let end = ended.unwrap_or(Duration::MAX);
        let opened = match course.state_at(began) {
            State::Closed => first_from(&course.openings, began).filter(|opened| *opened < end),
            State::Open | State::HalfOpen => Some(began),
        };
        let closed = ended.and_then(|ended| match course.state_at(ended) {
            State::Closed => Some(ended),
            State::Open | State::HalfOpen => first_from(&course.closings, ended),
        });
        let sent = calls(began..opened.unwrap_or(end)).filter(|fate| *fate != Fate::Shed);
        Self {
            key: key.clone(),
            began,
            ended,
            opened_after: opened.map(|opened| opened - began),
            sent: sent.count() as u64,
            recovered_after: closed.zip(ended).map(|(closed, ended)| closed - ended),
        }
    }
}
