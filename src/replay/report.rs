//! [`Report`]: what settings did with traffic.

mod display;
#[cfg(feature = "serde")]
mod serialize;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::circuit::{Fate, ReplayedCircuit, Transition};
use super::incidents::{Course, Incident, find};
use super::traffic::{Traffic, Workload};
use crate::config::{CircuitBreakerBuilder, ConfigError};
use crate::machine::{Rules, State};
use crate::observe::Ending;
use crate::snapshot::Snapshot;

/// Replays traffic through circuits with these settings.
///
/// The jitter of the waits is drawn from a fixed seed, so that equal settings and equal traffic give an equal report.
///
/// # Errors
/// Returns an error if a setting is invalid, as [`build`](CircuitBreakerBuilder::build) does.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker::replay::{self, Scenario};
///
/// let settings = CircuitBreaker::builder("search").consecutive_failures(5);
/// let report = replay::run(&settings, &Scenario::always_failing(10))?;
/// assert_eq!(report.incidents()[0].opened_after, Some(Duration::from_millis(420)));
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
pub fn run(settings: &CircuitBreakerBuilder, traffic: impl Traffic) -> Result<Report, ConfigError> {
    run_with_seed(settings, traffic, 0)
}

/// Replays traffic as [`run`] does, with another seed for the jitter.
///
/// # Errors
/// Returns an error if a setting is invalid.
pub fn run_with_seed(
    settings: &CircuitBreakerBuilder,
    traffic: impl Traffic,
    seed: u64,
) -> Result<Report, ConfigError> {
    Ok(Replay::new(settings, traffic.workload(), seed)?.run())
}

/// What circuits did with traffic: returned by [`run`].
///
/// Calls are *good* if they ended with success, *bad* if they failed, and *unknown* if a trace does not say how they ended.
/// Calls that were ignored or abandoned are none of these.
///
/// `Display` prints a table for a terminal. With the feature `serde` a report serializes as a map of its numbers, its
/// incidents and its transitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub(super) name: String,
    keys: usize,
    duration: Duration,
    fates: Vec<Fate>,
    met: Option<Vec<Call>>,
    sent: Tally,
    shed: Tally,
    times: [Duration; 3],
    longest_above_threshold: Option<Duration>,
    incidents: Vec<Incident>,
    transitions: Vec<Transition>,
    flaps: u64,
}

/// How many calls ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    calls: u64,
    good: u64,
    bad: u64,
    unknown: u64,
}

impl Tally {
    fn add(&mut self, call: &Call) {
        self.calls += 1;
        match call.ending {
            Some(Ending::Success) => self.good += 1,
            Some(Ending::Failure | Ending::SoftFailure) => self.bad += 1,
            Some(Ending::Ignored | Ending::Abandoned) => {}
            None => self.unknown += 1,
        }
    }
}

impl Report {
    /// Returns how many calls the traffic has.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.sent.calls + self.shed.calls
    }

    /// Returns how many circuits there are: one for each key of the calls.
    #[must_use]
    pub fn circuits(&self) -> usize {
        self.keys
    }

    /// Returns how long the traffic lasts: until the last call has ended.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Returns how many calls were sent to the dependency.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.calls
    }

    /// Returns how many calls were sent, and succeeded.
    #[must_use]
    pub fn sent_good(&self) -> u64 {
        self.sent.good
    }

    /// Returns how many calls were sent, and failed.
    #[must_use]
    pub fn sent_bad(&self) -> u64 {
        self.sent.bad
    }

    /// Returns how many of the calls were sent as probes.
    #[must_use]
    pub fn probes(&self) -> u64 {
        self.fates.iter().filter(|fate| **fate == Fate::Probe).count() as u64
    }

    /// Returns how many calls were shed.
    #[must_use]
    pub fn shed(&self) -> u64 {
        self.shed.calls
    }

    /// Returns how many calls were shed that would have succeeded: what the breaker costs.
    #[must_use]
    pub fn shed_good(&self) -> u64 {
        self.shed.good
    }

    /// Returns how many calls were shed that would have failed: what the breaker saves.
    #[must_use]
    pub fn shed_bad(&self) -> u64 {
        self.shed.bad
    }

    /// Returns the share of the good calls that were shed, from 0.0 to 1.0.
    #[must_use]
    pub fn shed_share(&self) -> f64 {
        let good = self.sent.good + self.shed.good;
        if good == 0 { 0.0 } else { self.shed.good as f64 / good as f64 }
    }

    /// Returns how many calls the trace does not know the end of, because a breaker rejected them when it was recorded.
    /// Those that are admitted in the replay do not count for the circuit.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.sent.unknown + self.shed.unknown
    }

    /// Returns how many times a circuit opened that had been closed.
    #[must_use]
    pub fn openings(&self) -> u64 {
        self.opened_from(State::Closed)
    }

    /// Returns how many times a circuit opened again from half-open.
    #[must_use]
    pub fn reopenings(&self) -> u64 {
        self.opened_from(State::HalfOpen)
    }

    fn opened_from(&self, from: State) -> u64 {
        let opened = self.transitions.iter().filter(|it| it.to == State::Open && it.from == from);
        opened.count() as u64
    }

    /// Returns how many times a circuit flapped: it opened after it had been closed for a shorter time than it had not been
    /// closed before.
    #[must_use]
    pub fn flaps(&self) -> u64 {
        self.flaps
    }

    /// Returns how long the circuits were in this state, all together.
    #[must_use]
    pub fn time_in(&self, state: State) -> Duration {
        self.times[state as usize]
    }

    /// Returns the longest time for which a circuit was closed although the failure rate in its window was at or above the
    /// threshold, because the window held fewer than
    /// [`minimum_calls`](CircuitBreakerBuilder::minimum_calls) calls. The rate is looked at whenever a call begins or ends, and
    /// holds until the next time, but for no longer than the length of a time window.
    ///
    /// Returns `None` if there is no rule for the failure rate.
    #[must_use]
    pub fn longest_above_threshold(&self) -> Option<Duration> {
        self.longest_above_threshold
    }

    /// Returns the times in which the dependency was broken, in the order in which they began.
    #[must_use]
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// Returns all changes of state, in the order in which they happened.
    #[must_use]
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    /// Returns what became of each call, in the order of the [calls](super::Trace::calls) of the traffic.
    #[must_use]
    pub fn fates(&self) -> &[Fate] {
        &self.fates
    }

    /// Returns the calls as they ended in this replay, if that depended on which calls were shed: after
    /// [`Scenario::overload`](super::Scenario::overload). Those that were shed are here as they would have ended.
    #[must_use]
    pub fn met(&self) -> Option<&[Call]> {
        self.met.as_deref()
    }
}

/// Traffic that is about to be replayed.
pub(super) struct Replay<'a> {
    rules: Arc<Rules>,
    workload: Workload<'a>,
    /// The numbers of the calls of each key.
    keys: Vec<(Arc<str>, Vec<usize>)>,
    seed: u64,
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        settings: &CircuitBreakerBuilder,
        workload: Workload<'a>,
        seed: u64,
    ) -> Result<Self, ConfigError> {
        let rules = Arc::new(settings.rules()?);
        let keys = workload.by_key();
        Ok(Self { rules, workload, keys, seed })
    }

    pub(super) fn run(mut self) -> Report {
        let mut report = Report {
            name: self.workload.name.to_string(),
            keys: self.keys.len(),
            duration: end_of(&self.workload.calls),
            fates: vec![Fate::Shed; self.workload.calls.len()],
            met: None,
            sent: Tally::default(),
            shed: Tally::default(),
            times: [Duration::ZERO; 3],
            longest_above_threshold: self.rules.failure_rate.map(|_| Duration::ZERO),
            incidents: Vec::new(),
            transitions: Vec::new(),
            flaps: 0,
        };
        for (key, numbers) in std::mem::take(&mut self.keys) {
            self.run_circuit(&key, &numbers, &mut report);
        }
        for (call, fate) in self.workload.calls.iter().zip(&report.fates) {
            let tally = if *fate == Fate::Shed { &mut report.shed } else { &mut report.sent };
            tally.add(call);
        }
        report.transitions.sort_by_key(|transition| transition.at);
        report.incidents.sort_by_key(|incident| incident.began);
        if self.workload.queue.is_some() {
            report.met = Some(self.workload.calls.into_owned());
        }
        report
    }

    fn run_circuit(&mut self, key: &Arc<str>, numbers: &[usize], report: &mut Report) {
        let mut circuit = self.circuit(key);
        let Workload { calls, queue, incident, .. } = &mut self.workload;
        for &number in numbers {
            report.fates[number] = circuit.call(calls, number, queue.as_mut());
        }
        if queue.is_some() {
            report.duration = end_of(calls); // only now it is known when they end
        }
        circuit.finish(calls, report.duration);

        let calls: &[Call] = calls;
        let fates_within = |time: Range<Duration>| {
            let start = numbers.partition_point(|&number| calls[number].at < time.start);
            let within = numbers[start..].iter().take_while(move |n| calls[**n].at < time.end);
            within.map(|&number| report.fates[number])
        };
        let incidents = match incident {
            Some(incident) => vec![(incident.start, Some(incident.end))],
            None => find(&self.rules, numbers.iter().map(|&number| &calls[number])),
        };
        let course = Course::of(&circuit.transitions);
        let new = |incident| Incident::new(key, incident, &course, fates_within);
        let incidents: Vec<Incident> = incidents.into_iter().map(new).collect();
        report.incidents.extend(incidents);
        if let Some(longest) = &mut report.longest_above_threshold {
            *longest = (*longest).max(circuit.longest_above_threshold());
        }
        report.add_times(&circuit.transitions);
        report.transitions.append(&mut circuit.transitions);
    }

    /// Replays the traffic of one circuit up to this moment, and returns what the circuit looks like then.
    pub(super) fn snapshot_at(mut self, key: &str, at: Duration) -> Option<Snapshot> {
        let keys = std::mem::take(&mut self.keys);
        let (key, numbers) = keys.iter().find(|(it, _)| **it == *key)?;
        let mut circuit = self.circuit(key);
        let Workload { calls, queue, .. } = &mut self.workload;
        for &number in numbers {
            if calls[number].at > at {
                break;
            }
            circuit.call(calls, number, queue.as_mut());
        }
        Some(circuit.snapshot_at(calls, at))
    }

    fn circuit(&self, key: &Arc<str>) -> ReplayedCircuit {
        let mut hasher = DefaultHasher::new();
        (self.seed, key).hash(&mut hasher);
        ReplayedCircuit::new(key.clone(), self.rules.clone(), hasher.finish())
    }
}

/// Returns when the last call ends.
fn end_of(calls: &[Call]) -> Duration {
    calls.iter().map(|call| call.at + call.duration).max().unwrap_or_default()
}

impl Report {
    /// Adds how long a circuit was in each state, and how often it flapped.
    fn add_times(&mut self, transitions: &[Transition]) {
        let (mut state, mut since) = (State::Closed, Duration::ZERO);
        let (mut opened, mut outage) = (Duration::ZERO, Duration::ZERO);
        for transition in transitions {
            let at = transition.at;
            self.times[state as usize] += at - since;
            if transition.to == State::Closed {
                outage = at - opened;
            } else if state == State::Closed {
                self.flaps += u64::from(at - since < outage);
                opened = at;
            }
            (state, since) = (transition.to, at);
        }
        self.times[state as usize] += self.duration.saturating_sub(since);
    }
}
