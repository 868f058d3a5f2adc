//! [`Handles`]: the series of one name, as they are written.

use std::iter::zip;

use ::metrics::{Counter, Gauge, Histogram};

use super::counters::Counters;
use super::labels::{FORCED_STATES, OUTCOMES, STATES, TIMED_STATES, TRANSITIONS};
use super::late::Late;
use super::ledger::Entry;
use super::names::{
    CALL_DURATION, ENFORCEMENT, FORCED, PROBES_IN_FLIGHT, REOPENINGS, Registrar, STATE,
    TRANSITIONS_TOTAL,
};
use super::open_since::OpenSince;
use super::reading::Gauges;
use super::seconds::Seconds;
use crate::machine::{RejectReason, State};
use crate::observe::Settled;

pub(super) struct Handles {
    states: [Gauge; STATES.len()],
    seconds: [Seconds; TIMED_STATES.len()],
    transitions: [Late<Counter>; TRANSITIONS.len()],
    reopenings: Counter,
    durations: Option<[Histogram; OUTCOMES.len()]>,
    enforcement: Late<Gauge>,
    forced: [Late<Gauge>; FORCED_STATES.len()],
    probes: Late<Gauge>,
    open_since: OpenSince,
    gauges: Gauges,
}

impl Handles {
    /// Registers the series that every circuit has, with the value zero.
    pub(super) fn register(to: &Registrar, durations: bool) -> Option<Self> {
        to.find_recorder(|found| {
            found.describe();
            Self {
                states: STATES.map(|state| found.gauge(STATE, &[("state", state)])),
                seconds: TIMED_STATES.map(|state| Seconds::new(found, state)),
                transitions: TRANSITIONS.map(|(from, into, cause)| {
                    let labels = [("from", from.name()), ("to", into.name()), ("cause", cause)];
                    Late::new(TRANSITIONS_TOTAL, &labels)
                }),
                reopenings: found.counter(REOPENINGS, &[]),
                durations: durations.then(|| {
                    OUTCOMES.map(|outcome| found.histogram(CALL_DURATION, &[("outcome", outcome)]))
                }),
                enforcement: Late::new(ENFORCEMENT, &[]),
                forced: FORCED_STATES.map(|state| Late::new(FORCED, &[("state", state)])),
                probes: Late::new(PROBES_IN_FLIGHT, &[]),
                open_since: OpenSince::default(),
                gauges: Gauges::default(),
            }
        })
    }

    /// Records how long a call took.
    pub(super) fn record_duration(&self, settled: Settled) {
        if let (Some(durations), Some(took)) = (&self.durations, settled.duration()) {
            durations[settled.ending() as usize].record(took);
        }
    }

    /// Adds what circuits have done. The series of calls that belong to it begin with it.
    pub(super) fn add(&self, entry: &Entry, calls: &Counters, to: &Registrar) {
        self.transitions.iter().for_each(|counter| counter.add_waiting(to));
        self.begin(entry, calls, to);
        self.add_sums(entry, calls, to);
        self.reopenings.increment(entry.reopenings.into());
        zip(&self.seconds, entry.nanos).for_each(|(seconds, nanos)| seconds.add(nanos));
        if let Some(transitions) = &entry.transitions {
            for (counter, n) in zip(&self.transitions, **transitions).filter(|(_, n)| *n > 0) {
                counter.add(n.into(), to);
            }
        }
        if let Some(reading) = &entry.reading {
            self.gauges.set(reading, to);
        }
    }

    /// Begins the series that exist because of the settings.
    fn begin(&self, entry: &Entry, calls: &Counters, to: &Registrar) {
        let Some(settings) = &entry.settings else { return };
        for (counter, _) in zip(&self.transitions, settings.transitions).filter(|(_, is)| *is) {
            counter.add(0, to);
        }
        if settings.slow_calls {
            calls.begin_slow_calls(to);
        }
        if settings.ramp {
            calls.begin_rejections(RejectReason::Recovering, to);
        }
        if settings.enforcement < 1.0 {
            self.enforcement.set(settings.enforcement, to);
            calls.begin_would_reject(to);
        } else {
            self.enforcement.set_if_begun(1.0);
        }
    }

    fn add_sums(&self, entry: &Entry, calls: &Counters, to: &Registrar) {
        let sums = &entry.sums;
        for (gauge, n) in zip(&self.states, sums.states).filter(|(_, n)| *n != 0) {
            gauge.increment(n as f64);
        }
        let not_closed = sums.states[State::Open as usize] + sums.states[State::HalfOpen as usize];
        self.open_since.add(not_closed, to);
        if not_closed > 0 || sums.probes != 0 || self.probes.is_waiting() {
            self.probes.add(sums.probes, to);
        }
        let are_waiting = self.forced.iter().any(Late::is_waiting);
        if are_waiting || sums.forced.iter().any(|n| *n != 0) {
            zip(&self.forced, sums.forced).for_each(|(gauge, n)| gauge.add(n, to));
            calls.begin_rejections(RejectReason::ForcedOpen, to);
        }
    }

    /// Tells the recorder that the series are still in use, because some recorders drop those that do not
    /// change for a while.
    pub(super) fn keep(&self, to: &Registrar) {
        self.states.iter().for_each(|gauge| gauge.increment(0.0));
        self.seconds.iter().for_each(Seconds::keep);
        self.reopenings.increment(0);
        self.transitions.iter().for_each(Late::keep);
        self.enforcement.keep();
        self.forced.iter().for_each(Late::keep);
        self.probes.keep();
        self.open_since.show(to);
        self.gauges.keep();
    }
}
