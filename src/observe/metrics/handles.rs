//! The names of the metrics, and the handles through which they are recorded.

use std::cell::Cell;
use std::iter;
use std::sync::Arc;

use ::metrics::{
    Counter, Gauge, Histogram, IntoF64, Key, Label, Level, Metadata, Recorder, Unit, with_recorder,
};

use super::labels::{OUTCOMES, REASONS, STATES, TRANSITIONS};
use super::ledger::Entry;
use crate::machine::RejectReason;
use crate::observe::Settled;

const STATE: &str = "circuit_breaker_state";
const STATE_SECONDS: &str = "circuit_breaker_state_seconds_total";
const TRANSITIONS_TOTAL: &str = "circuit_breaker_transitions_total";
const CALLS: &str = "circuit_breaker_calls_total";
const SLOW_CALLS: &str = "circuit_breaker_slow_calls_total";
const STALE_RESULTS: &str = "circuit_breaker_stale_results_total";
const REJECTIONS: &str = "circuit_breaker_rejections_total";
const CALL_DURATION: &str = "circuit_breaker_call_duration_seconds";
const FAILURE_RATE: &str = "circuit_breaker_failure_rate";
const SLOW_CALL_RATE: &str = "circuit_breaker_slow_call_rate";
pub(super) const REGISTRY_CIRCUITS: &str = "circuit_breaker_registry_circuits";
pub(super) const REGISTRY_CAPACITY: &str = "circuit_breaker_registry_capacity";
pub(super) const REGISTRY_UNKEPT_CALLS: &str = "circuit_breaker_registry_unkept_calls_total";

const GAUGES: [(&str, Unit, &str); 6] = [
    (STATE, Unit::Count, "The number of circuits in this state. Each circuit is in exactly one."),
    (STATE_SECONDS, Unit::Seconds, "The time spent in this state. It only grows."),
    (FAILURE_RATE, Unit::Count, "Failures / calls, from 0 to 1; NaN below the minimum of calls."),
    (
        SLOW_CALL_RATE,
        Unit::Count,
        "Slow calls / calls, from 0 to 1; NaN below the minimum of calls.",
    ),
    (REGISTRY_CIRCUITS, Unit::Count, "The number of circuits that the registry keeps."),
    (REGISTRY_CAPACITY, Unit::Count, "The number of circuits that the registry can keep."),
];
const COUNTERS: [(&str, Unit, &str); 6] = [
    (TRANSITIONS_TOTAL, Unit::Count, "Changes of state, and what caused them."),
    (CALLS, Unit::Count, "Admitted calls that have ended, by how they ended."),
    (SLOW_CALLS, Unit::Count, "Ended calls that succeeded or failed and were slow."),
    (
        STALE_RESULTS,
        Unit::Count,
        "Ended calls whose result came too late to count for the circuit.",
    ),
    (REJECTIONS, Unit::Count, "Calls that were rejected."),
    (
        REGISTRY_UNKEPT_CALLS,
        Unit::Count,
        "Calls through circuits for which the registry had no capacity.",
    ),
];
const HISTOGRAMS: [(&str, Unit, &str); 1] =
    [(CALL_DURATION, Unit::Seconds, "How long admitted calls took, by how they ended.")];

static METADATA: Metadata<'static> =
    Metadata::new("tower_breaker", Level::INFO, Some("tower_breaker"));

/// The handles of a [`Series`](super::Series), except for the rates.
pub(super) struct Handles {
    states: [Gauge; STATES.len()],
    seconds: [Gauge; STATES.len()],
    transitions: [Counter; TRANSITIONS.len()],
    calls: [Counter; OUTCOMES.len()],
    slow_calls: Counter,
    stale_results: Counter,
    rejections: [Counter; REASONS.len()],
    durations: Option<[Histogram; OUTCOMES.len()]>,
}

impl Handles {
    /// Registers all series with the value zero.
    pub(super) fn register(breaker: &Arc<str>, durations: bool) -> Self {
        with_recorder(|recorder| {
            describe(recorder);
            let to = Registry { recorder, breaker };
            Self {
                states: STATES.map(|state| to.gauge(STATE, &[("state", state)])),
                seconds: STATES.map(|state| to.gauge(STATE_SECONDS, &[("state", state)])),
                transitions: TRANSITIONS.map(|(from, into, cause)| {
                    let (from, into) = (STATES[from as usize], STATES[into as usize]);
                    to.counter(TRANSITIONS_TOTAL, &[("from", from), ("to", into), ("cause", cause)])
                }),
                calls: OUTCOMES.map(|outcome| to.counter(CALLS, &[("outcome", outcome)])),
                slow_calls: to.counter(SLOW_CALLS, &[]),
                stale_results: to.counter(STALE_RESULTS, &[]),
                rejections: REASONS.map(|reason| to.counter(REJECTIONS, &[("reason", reason)])),
                durations: durations.then(|| {
                    OUTCOMES.map(|outcome| to.histogram(CALL_DURATION, &[("outcome", outcome)]))
                }),
            }
        })
    }

    #[inline]
    pub(super) fn count_call(&self, settled: Settled) {
        let outcome = settled.ending() as usize;
        self.calls[outcome].increment(1);
        if settled.is_slow() {
            self.slow_calls.increment(1);
        }
        if settled.is_stale() {
            self.stale_results.increment(1);
        }
        if let (Some(durations), Some(took)) = (&self.durations, settled.duration()) {
            durations[outcome].record(took);
        }
    }

    pub(super) fn count_rejection(&self, reason: RejectReason) {
        self.rejections[reason as usize].increment(1);
    }

    pub(super) fn add(&self, entry: &Entry) {
        if let Some(left) = entry.left {
            self.states[left as usize].decrement(1.0);
        }
        if let Some(entered) = entry.entered {
            self.states[entered as usize].increment(1.0);
        }
        for (gauge, nanos) in self.seconds.iter().zip(entry.nanos) {
            if nanos > 0 {
                gauge.increment(nanos as f64 / 1e9);
            }
        }
        for (counter, n) in self.transitions.iter().zip(entry.transitions) {
            if n > 0 {
                counter.increment(n);
            }
        }
    }
}

/// The handles of the failure rate and the slow-call rate.
pub(super) struct Rates([Gauge; 2]);

impl Rates {
    pub(super) fn register(breaker: &Arc<str>) -> Self {
        with_recorder(|recorder| {
            let to = Registry { recorder, breaker };
            Self([FAILURE_RATE, SLOW_CALL_RATE].map(|name| to.gauge(name, &[])))
        })
    }

    pub(super) fn set(&self, rates: [f64; 2]) {
        self.0.iter().zip(rates).for_each(|(gauge, rate)| gauge.set(rate));
    }
}

/// Registers the metrics of the breakers of one name.
pub(super) struct Registry<'a> {
    pub(super) recorder: &'a dyn Recorder,
    pub(super) breaker: &'a Arc<str>,
}

impl Registry<'_> {
    pub(super) fn gauge(
        &self,
        name: &'static str,
        labels: &[(&'static str, &'static str)],
    ) -> Gauge {
        self.recorder.register_gauge(&key(name, self.breaker, labels), &METADATA)
    }

    pub(super) fn counter(
        &self,
        name: &'static str,
        labels: &[(&'static str, &'static str)],
    ) -> Counter {
        self.recorder.register_counter(&key(name, self.breaker, labels), &METADATA)
    }

    fn histogram(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Histogram {
        self.recorder.register_histogram(&key(name, self.breaker, labels), &METADATA)
    }
}

/// Returns whether there is a recorder. This has to be quick, because every call asks while there is none.
///
/// `test_key` is the [`test_key`] of the series.
pub(super) fn is_there_a_recorder(test_key: &Key) -> bool {
    with_recorder(|recorder| {
        // The description comes first, because some recorders ignore one that comes later.
        let (name, unit, help) = GAUGES[0];
        recorder.describe_gauge(name.into(), Some(unit), help.into());
        is_recorded(&recorder.register_gauge(test_key, &METADATA))
    })
}

/// Returns the key of a series that is registered to find out whether there is a recorder. It is one of the
/// series that are registered anyway.
pub(super) fn test_key(breaker: &Arc<str>) -> Key {
    key(STATE, breaker, &[("state", STATES[0])])
}

fn key(name: &'static str, breaker: &Arc<str>, labels: &[(&'static str, &'static str)]) -> Key {
    let breaker = Label::new("breaker", breaker.clone());
    let labels = labels.iter().map(|&(key, value)| Label::from_static_parts(key, value));
    Key::from_parts(name, iter::once(breaker).chain(labels).collect::<Vec<_>>())
}

fn describe(recorder: &dyn Recorder) {
    for (name, unit, help) in GAUGES {
        recorder.describe_gauge(name.into(), Some(unit), help.into());
    }
    for (name, unit, help) in COUNTERS {
        recorder.describe_counter(name.into(), Some(unit), help.into());
    }
    for (name, unit, help) in HISTOGRAMS {
        recorder.describe_histogram(name.into(), Some(unit), help.into());
    }
}

/// Returns whether a recorder records this gauge. A handle does not say so, but one without a recorder never
/// converts the value that it is given.
fn is_recorded(gauge: &Gauge) -> bool {
    struct Bait<'a>(&'a Cell<bool>);
    impl IntoF64 for Bait<'_> {
        fn into_f64(self) -> f64 {
            self.0.set(true);
            0.0
        }
    }
    let taken = Cell::new(false);
    gauge.increment(Bait(&taken));
    taken.get()
}
