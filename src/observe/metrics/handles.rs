//! [`Handles`]: the series of one name, as they are written.

use std::iter::zip;

use ::metrics::{Counter, Gauge, Histogram};

use super::labels::{FORCED_STATES, OUTCOMES, REASONS, STATES, TIMED_STATES, TRANSITIONS};
use super::late::Late;
use super::ledger::{Begins, Entry};
use super::names::{
    CALL_DURATION, CALLS, FORCED, Found, OPEN_SINCE, PROBES_IN_FLIGHT, REJECTIONS, REOPENINGS,
    Registrar, SLOW_CALLS, STALE_RESULTS, STATE, STATE_SECONDS, TRANSITIONS_TOTAL, WOULD_REJECT,
};
use super::reading::{Gauges, unix_seconds_in};
use crate::circuit::sync::{Mutex, lock};
use crate::machine::{Nanos, RejectReason, State};
use crate::observe::Settled;

const NANOS_PER_SECOND: Nanos = 1_000_000_000;

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
                transitions: Default::default(),
                reopenings: found.counter(REOPENINGS, &[]),
                calls: OUTCOMES.map(|outcome| found.counter(CALLS, &[("outcome", outcome)])),
                slow_calls: Late::default(),
                stale_results: found.counter(STALE_RESULTS, &[]),
                rejections: Default::default(),
                would_reject: Default::default(),
                durations: durations.then(|| {
                    OUTCOMES.map(|outcome| found.histogram(CALL_DURATION, &[("outcome", outcome)]))
                }),
                forced: Default::default(),
                probes: Late::default(),
                open_since: OpenSince::default(),
                gauges: Gauges::default(),
            }
        })?;
        for reason in [RejectReason::Open, RejectReason::HalfOpen] {
            handles.add_rejections(reason, 0, to);
        }
        Some(handles)
    }

    // ---- what single calls do -----------------------------------------------------------------

    #[inline]
    pub(super) fn count_call(&self, settled: Settled, to: &Registrar) {
        let outcome = settled.ending() as usize;
        if settled.is_shadow() {
            self.add_would_reject(Some(outcome), to);
            return;
        }
        self.calls[outcome].increment(1);
        if settled.is_slow() {
            self.add_slow_calls(1, to);
        }
        if settled.is_stale() {
            self.stale_results.increment(1);
        }
        if let (Some(durations), Some(took)) = (&self.durations, settled.duration()) {
            durations[outcome].record(took);
        }
    }

    pub(super) fn count_rejection(&self, reason: RejectReason, to: &Registrar) {
        self.add_rejections(reason, 1, to);
    }

    fn add_rejections(&self, reason: RejectReason, n: i64, to: &Registrar) {
        let reason = reason as usize;
        let labels = [("reason", REASONS[reason])];
        self.rejections[reason].add(n, to, |found| found.counter(REJECTIONS, &labels));
    }

    /// All outcomes begin together, so that they can be compared from then on.
    #[cold]
    fn add_would_reject(&self, outcome: Option<usize>, to: &Registrar) {
        for (index, (counter, name)) in zip(&self.would_reject, OUTCOMES).enumerate() {
            let n = i64::from(outcome == Some(index));
            counter.add(n, to, |found| found.counter(WOULD_REJECT, &[("outcome", name)]));
        }
    }

    fn add_slow_calls(&self, n: i64, to: &Registrar) {
        self.slow_calls.add(n, to, |found| found.counter(SLOW_CALLS, &[]));
    }

    // ---- what circuits do ---------------------------------------------------------------------

    pub(super) fn add(&self, entry: &Entry, to: &Registrar) {
        self.add_states(entry, to);
        self.add_transitions(entry, to);
        self.reopenings.increment(entry.reopenings.into());
        for (seconds, nanos) in zip(&self.seconds, entry.nanos) {
            seconds.add(nanos);
        }
        if entry.begins.slow_calls || self.slow_calls.is_waiting() {
            self.add_slow_calls(0, to);
        }
        if entry.begins.would_reject || self.would_reject.iter().any(Late::is_waiting) {
            self.add_would_reject(None, to);
        }
        if let Some(reading) = &entry.reading {
            self.gauges.set(reading, to);
        }
    }

    fn add_states(&self, entry: &Entry, to: &Registrar) {
        let sums = &entry.sums;
        for (gauge, n) in zip(&self.states, sums.states).filter(|(_, n)| *n != 0) {
            gauge.increment(n as f64);
        }
        let not_closed = sums.states[State::Open as usize] + sums.states[State::HalfOpen as usize];
        self.open_since.add(not_closed, to);
        if not_closed > 0 || sums.probes != 0 || self.probes.is_waiting() {
            self.probes.add(sums.probes, to, |found| found.gauge(PROBES_IN_FLIGHT, &[]));
        }
        let forced_open = &self.rejections[RejectReason::ForcedOpen as usize];
        let are_waiting = forced_open.is_waiting() || self.forced.iter().any(Late::is_waiting);
        if are_waiting || sums.forced.iter().any(|n| *n != 0) {
            for ((gauge, n), state) in zip(zip(&self.forced, sums.forced), FORCED_STATES) {
                gauge.add(n, to, |found| found.gauge(FORCED, &[("state", state)]));
            }
            self.add_rejections(RejectReason::ForcedOpen, 0, to);
        }
    }

    fn add_transitions(&self, entry: &Entry, to: &Registrar) {
        let Begins { transitions: begins, .. } = entry.begins;
        for (index, (counter, (from, into, cause))) in
            zip(&self.transitions, TRANSITIONS).enumerate()
        {
            let n = entry.transitions.as_ref().map_or(0, |transitions| transitions[index]);
            if n > 0 || begins >> index & 1 == 1 || counter.is_waiting() {
                let labels = [("from", from.name()), ("to", into.name()), ("cause", cause)];
                counter.add(n.into(), to, |found| found.counter(TRANSITIONS_TOTAL, &labels));
            }
        }
    }

    /// Tells the recorder that the series are still in use, because some recorders drop those that do not
    /// change for a while.
    pub(super) fn keep(&self, to: &Registrar) {
        self.states.iter().for_each(|gauge| gauge.increment(0.0));
        self.seconds.iter().for_each(|seconds| seconds.counter.increment(0));
        self.calls.iter().for_each(|counter| counter.increment(0));
        self.reopenings.increment(0);
        self.stale_results.increment(0);
        self.transitions.iter().for_each(Late::keep);
        self.rejections.iter().for_each(Late::keep);
        self.would_reject.iter().for_each(Late::keep);
        self.slow_calls.keep();
        self.forced.iter().for_each(Late::keep);
        self.probes.keep();
        self.open_since.show(to);
        self.gauges.keep();
    }
}

/// A counter of seconds. Counters are whole numbers, so the fraction of a second waits here until it is part
/// of a whole one.
struct Seconds {
    counter: Counter,
    fraction: Mutex<Nanos>,
}

impl Seconds {
    fn new(found: &Found<'_>, state: State) -> Self {
        let counter = found.counter(STATE_SECONDS, &[("state", state.name())]);
        Self { counter, fraction: Mutex::new(0) }
    }

    fn add(&self, nanos: Nanos) {
        if nanos == 0 {
            return;
        }
        let whole = {
            let mut fraction = lock(&self.fraction);
            let sum = fraction.saturating_add(nanos);
            *fraction = sum % NANOS_PER_SECOND;
            sum / NANOS_PER_SECOND
        };
        self.counter.increment(whole);
    }
}

/// Shows since when one of the circuits has not been closed.
#[derive(Default)]
struct OpenSince {
    gauge: Late<Gauge>,
    circuits: Mutex<NotClosed>,
}

#[derive(Default)]
struct NotClosed {
    circuits: i64,
    /// When the first of them left the closed state, as a Unix timestamp, or zero if there is none.
    since: f64,
}

impl OpenSince {
    fn add(&self, circuits: i64, to: &Registrar) {
        if circuits == 0 {
            return;
        }
        let since = {
            let mut all = lock(&self.circuits);
            all.circuits += circuits;
            match all.circuits {
                1.. if all.since == 0.0 => all.since = unix_seconds_in(0),
                1.. => {}
                _ => all.since = 0.0,
            }
            all.since
        };
        self.gauge.set(since, to, |found| found.gauge(OPEN_SINCE, &[]));
    }

    /// Shows the value again, because threads that set it at the same time may have done so in any order.
    fn show(&self, to: &Registrar) {
        let NotClosed { since, .. } = *lock(&self.circuits);
        if since > 0.0 {
            self.gauge.set(since, to, |found| found.gauge(OPEN_SINCE, &[]));
        } else {
            self.gauge.set_if_begun(0.0);
        }
    }
}
