//! The names of the metrics, and how their series are registered.

use std::cell::Cell;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::metrics::{
    Counter, Gauge, Histogram, IntoF64, Key, Label, Level, Metadata, Recorder, with_recorder,
};

use super::labels::STATES;

/// A name, and what it means.
///
/// The names end as Prometheus' conventions have it, and the metrics have no unit: an exporter that appends
/// the unit to the name, as those of OpenTelemetry do, would change them.
#[derive(Clone, Copy)]
pub(super) struct Metric(&'static str, &'static str);

pub(super) type Labels = [(&'static str, &'static str)];

macro_rules! metrics {
    ($list:ident: $($constant:ident = $name:literal: $help:literal;)*) => {
        $(pub(super) const $constant: Metric = Metric($name, $help);)*
        const $list: &[Metric] = &[$($constant),*];
    };
}

metrics! { GAUGES:
    STATE = "circuit_breaker_state":
        "The number of circuits in this state. Each circuit is in exactly one.";
    FORCED = "circuit_breaker_forced":
        "The number of circuits that an operator holds open or closed.";
    OPEN_SINCE = "circuit_breaker_open_since_timestamp_seconds":
        "When the first of the circuits that are open or half-open left the closed state; 0 if all are closed.";
    PROBES_IN_FLIGHT = "circuit_breaker_probes_in_flight":
        "The number of probes that have not reported yet.";
    CALLS_IN_FLIGHT = "circuit_breaker_calls_in_flight":
        "The number of calls of the present closed period that have not ended or been answered, where they are watched.";
    CALLS_OVERDUE = "circuit_breaker_calls_overdue":
        "The number of calls in flight that count as slow or as hung, where they are watched.";
    ENFORCEMENT = "circuit_breaker_enforcement":
        "The share of rejections that are enforced, from 0 (shadow mode) to 1.";
    ADMITTED_SHARE = "circuit_breaker_admitted_share":
        "The share of calls that are admitted, from 0 to 1: 1 while closed, and growing while it recovers.";
    SUSPECTED = "circuit_breaker_suspected":
        "1 while the circuit is suspected and judges its calls more strictly, else 0.";
    ATTEMPT = "circuit_breaker_attempt":
        "The number of open periods since the circuit was last closed; 0 while it is closed.";
    NEXT_PROBE = "circuit_breaker_next_probe_timestamp_seconds":
        "When an open circuit admits the next probe; 0 if it is not open, or waits for an operator.";
    CONSECUTIVE_FAILURES = "circuit_breaker_consecutive_failures":
        "The failure streak, or the one at the trip while the circuit is not closed.";
    FAILURE_RATE = "circuit_breaker_failure_rate":
        "Failures / calls, from 0 to 1, when the rate was judged last; 0 if the window is empty.";
    SLOW_CALL_RATE = "circuit_breaker_slow_call_rate":
        "Slow calls / calls, from 0 to 1, when the rate was judged last; 0 if the window is empty.";
    TRIP_PROGRESS = "circuit_breaker_trip_progress":
        "How near the rule is to tripping the circuit, from 0 to 1, where it trips.";
    TRIP_THRESHOLD = "circuit_breaker_trip_threshold":
        "The streak, number or rate at which the rule trips the circuit.";
    REGISTRY_CIRCUITS = "circuit_breaker_registry_circuits":
        "The number of circuits that the registry keeps.";
    REGISTRY_CAPACITY = "circuit_breaker_registry_capacity":
        "The number of circuits that the registry can keep.";
}

metrics! { COUNTERS:
    STATE_SECONDS = "circuit_breaker_state_seconds_total":
        "The time that circuits have spent in this state, in whole seconds.";
    TRANSITIONS_TOTAL = "circuit_breaker_transitions_total":
        "Changes of state, and what caused them.";
    REOPENINGS = "circuit_breaker_reopenings_total":
        "Circuits that opened within 10 minutes after their probes had closed them.";
    CALLS = "circuit_breaker_calls_total":
        "Admitted calls that have ended, by how they ended.";
    SLOW_CALLS = "circuit_breaker_slow_calls_total":
        "Ended calls that succeeded or failed and were slow.";
    STALE_RESULTS = "circuit_breaker_stale_results_total":
        "Ended calls whose result came too late to count for the circuit.";
    REJECTIONS = "circuit_breaker_rejections_total":
        "Calls that were rejected.";
    WOULD_REJECT = "circuit_breaker_would_reject_total":
        "Ended calls that were let through although the circuit had turned them away, by how they ended.";
    REGISTRY_UNKEPT_CALLS = "circuit_breaker_registry_unkept_calls_total":
        "Calls through circuits for which the registry had no capacity.";
}

metrics! { HISTOGRAMS:
    CALL_DURATION = "circuit_breaker_call_duration_seconds":
        "How long admitted calls took, by how they ended.";
}

static METADATA: Metadata<'static> =
    Metadata::new("tower_breaker", Level::INFO, Some("tower_breaker"));

/// Registers series with the name of a breaker as their label, wherever a recorder is found.
pub(super) struct Registrar {
    breaker: Arc<str>,
    /// The key of a series that is registered to find out whether there is a recorder. It is kept because
    /// every event asks while there is none. It is one of the series that are registered anyway.
    test_key: Key,
    /// The address of the first recorder that was found, or zero. No other one is used. A recorder that is
    /// found again at this address is taken for the same, because the facade lends it for a moment only.
    recorder: AtomicUsize,
}

impl Registrar {
    pub(super) fn new(breaker: Arc<str>) -> Self {
        let test_key = key(STATE, &breaker, &[("state", STATES[0])]);
        Self { breaker, test_key, recorder: AtomicUsize::new(0) }
    }

    pub(super) fn breaker(&self) -> &Arc<str> {
        &self.breaker
    }

    /// Passes the recorder of this thread to `register`, or returns `None` if there is none or another one
    /// is in use. This has to be quick, because every event asks while there is no recorder.
    pub(super) fn find_recorder<T>(&self, register: impl FnOnce(&Found<'_>) -> T) -> Option<T> {
        with_recorder(|recorder| {
            let address = (&raw const *recorder).addr();
            match self.recorder.load(Ordering::Relaxed) {
                0 => {
                    // The description comes first, because some recorders ignore one that comes later.
                    recorder.describe_gauge(STATE.0.into(), None, STATE.1.into());
                    if !is_recorded(&recorder.register_gauge(&self.test_key, &METADATA)) {
                        return None;
                    }
                    self.recorder.store(address, Ordering::Relaxed);
                }
                found if found != address => return None,
                _ => {}
            }
            Some(register(&Found { recorder, breaker: &self.breaker }))
        })
    }
}

/// A recorder, and the breaker whose series it registers.
pub(super) struct Found<'a> {
    recorder: &'a dyn Recorder,
    breaker: &'a Arc<str>,
}

impl Found<'_> {
    pub(super) fn describe(&self) {
        for &Metric(name, help) in GAUGES {
            self.recorder.describe_gauge(name.into(), None, help.into());
        }
        for &Metric(name, help) in COUNTERS {
            self.recorder.describe_counter(name.into(), None, help.into());
        }
        for &Metric(name, help) in HISTOGRAMS {
            self.recorder.describe_histogram(name.into(), None, help.into());
        }
    }

    pub(super) fn gauge(&self, metric: Metric, labels: &Labels) -> Gauge {
        self.recorder.register_gauge(&key(metric, self.breaker, labels), &METADATA)
    }

    pub(super) fn counter(&self, metric: Metric, labels: &Labels) -> Counter {
        self.recorder.register_counter(&key(metric, self.breaker, labels), &METADATA)
    }

    pub(super) fn histogram(&self, metric: Metric, labels: &Labels) -> Histogram {
        self.recorder.register_histogram(&key(metric, self.breaker, labels), &METADATA)
    }
}

fn key(Metric(name, _): Metric, breaker: &Arc<str>, labels: &Labels) -> Key {
    let breaker = Label::new("breaker", breaker.clone());
    let labels = labels.iter().map(|&(key, value)| Label::from_static_parts(key, value));
    Key::from_parts(name, iter::once(breaker).chain(labels).collect::<Vec<_>>())
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
