//! [`Handles`]: the series of one name, as they are written.

use std::iter::zip;

use ::metrics::{Counter, Gauge, Histogram};

use super::labels::{FORCED_STATES, OUTCOMES, REASONS, STATES, TIMED_STATES, TRANSITIONS};
use super::late::Late;
use super::ledger::Entry;
use super::names::{
    CALL_DURATION, CALLS, ENFORCEMENT, FORCED, PROBES_IN_FLIGHT, REJECTIONS, REOPENINGS, Registrar,
    SLOW_CALLS, STALE_RESULTS, STATE, TRANSITIONS_TOTAL, WOULD_REJECT,
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
    calls: [Counter; OUTCOMES.len()],
    slow_calls: Late<Counter>,
    stale_results: Counter,
    rejections: [Late<Counter>; REASONS.len()],
    would_reject: [Late<Counter>; OUTCOMES.len()],
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
        let handles = to.find_recorder(|found| {
            found.describe();
            Self {
                states: STATES.map(|state| found.gauge(STATE, &[("state", state)])),
                seconds: TIMED_STATES.map(|state| Seconds::new(found, state)),
                transitions: TRANSITIONS.map(|(from, into, cause)| {
                    let labels = [("from", from.name()), ("to", into.name()), ("cause", cause)];
                    Late::new(TRANSITIONS_TOTAL, &labels)
                }),
                reopenings: found.counter(REOPENINGS, &[]),
                calls: OUTCOMES.map(|outcome| found.counter(CALLS, &[("outcome", outcome)])),
                slow_calls: Late::new(SLOW_CALLS, &[]),
                stale_results: found.counter(STALE_RESULTS, &[]),
                rejections: REASONS.map(|reason| Late::new(REJECTIONS, &[("reason", reason)])),
                would_reject: OUTCOMES.map(|o| Late::new(WOULD_REJECT, &[("outcome", o)])),
                durations: durations.then(|| {
                    OUTCOMES.map(|outcome| found.histogram(CALL_DURATION, &[("outcome", outcome)]))
                }),
                enforcement: Late::new(ENFORCEMENT, &[]),
                forced: FORCED_STATES.map(|state| Late::new(FORCED, &[("state", state)])),
                probes: Late::new(PROBES_IN_FLIGHT, &[]),
                open_since: OpenSince::default(),
                gauges: Gauges::default(),
            }
        })?;
        for reason in [RejectReason::Open, RejectReason::HalfOpen] {
            handles.rejections[reason as usize].add(0, to);
        }
        Some(handles)
    }

    // ---- what single calls do -----------------------------------------------------------------

    #[inline]
    pub(super) fn count_call(&self, settled: Settled, to: &Registrar) {
        let outcome = settled.ending() as usize;
        if settled.is_shadow() {
            return self.would_reject[outcome].add(1, to);
        }
        self.calls[outcome].increment(1);
        if settled.is_slow() {
            self.slow_calls.add(1, to);
        }
        if settled.is_stale() {
            self.stale_results.increment(1);
        }
        if let (Some(durations), Some(took)) = (&self.durations, settled.duration()) {
            durations[outcome].record(took);
        }
    }

    pub(super) fn count_rejection(&self, reason: RejectReason, to: &Registrar) {
        self.rejections[reason as usize].add(1, to);
    }

    // ---- what circuits do ---------------------------------------------------------------------

    pub(super) fn add(&self, entry: &Entry, to: &Registrar) {
        self.late_counters().for_each(|counter| counter.add_waiting(to));
        self.begin(entry, to);
        self.add_sums(entry, to);
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
    fn begin(&self, entry: &Entry, to: &Registrar) {
        let Some(settings) = &entry.settings else { return };
        for (counter, _) in zip(&self.transitions, settings.transitions).filter(|(_, is)| *is) {
            counter.add(0, to);
        }
        if settings.slow_calls {
            self.slow_calls.add(0, to);
        }
        if settings.enforcement < 1.0 {
            self.enforcement.set(settings.enforcement, to);
            self.would_reject.iter().for_each(|counter| counter.add(0, to));
        } else {
            self.enforcement.set_if_begun(1.0);
        }
    }

    fn add_sums(&self, entry: &Entry, to: &Registrar) {
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
            self.rejections[RejectReason::ForcedOpen as usize].add(0, to);
        }
    }

    /// Tells the recorder that the series are still in use, because some recorders drop those that do not
    /// change for a while.
    pub(super) fn keep(&self, to: &Registrar) {
        self.states.iter().for_each(|gauge| gauge.increment(0.0));
        self.seconds.iter().for_each(Seconds::keep);
        self.calls.iter().for_each(|counter| counter.increment(0));
        self.reopenings.increment(0);
        self.stale_results.increment(0);
        self.late_counters().for_each(Late::keep);
        self.enforcement.keep();
        self.forced.iter().for_each(Late::keep);
        self.probes.keep();
        self.open_since.show(to);
        self.gauges.keep();
    }

    fn late_counters(&self) -> impl Iterator<Item = &Late<Counter>> {
        let Self { transitions, rejections, would_reject, slow_calls, .. } = self;
        transitions.iter().chain(rejections).chain(would_reject).chain([slow_calls])
    }
}
