//! The same trace through the public API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{Instant, advance};
use tower_breaker::replay::{self, Call, Fate, Trace};
use tower_breaker::{
    Cause, CircuitBreaker, CircuitBreakerBuilder, Ending, Event, EventKind, Interest, Listener,
    Outcome, Permit, State, Transition, TripRule,
};

use crate::cases;
use crate::draw::{Settings, settings, trace};

/// A transition, in a form that both have.
type Step = (Duration, State, State, Cause, Option<Duration>, Option<u32>);

/// What became of the calls of a trace that were made with real breakers.
pub(crate) struct Real {
    pub(crate) fates: Vec<Fate>,
    pub(crate) steps: BTreeMap<Arc<str>, Vec<Step>>,
    /// `None` if it is not known.
    pub(crate) longest_above_threshold: Option<Duration>,
}

struct CountProbes(Arc<AtomicU64>);

impl Listener for CountProbes {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind() == EventKind::ProbeAdmitted {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn interest(&self) -> Interest {
        Interest::Rejections
    }
}

struct Circuit {
    breaker: CircuitBreaker,
    steps: Arc<Mutex<Vec<Step>>>,
    probes: Arc<AtomicU64>,
    above_threshold_since: Option<Instant>,
    longest_above_threshold: Duration,
    last_look: Instant,
    /// The length of a time window.
    window: Option<Duration>,
}

impl Circuit {
    fn new(builder: CircuitBreakerBuilder, start: Instant, window: Option<Duration>) -> Self {
        let steps = Arc::new(Mutex::new(Vec::new()));
        let seen = steps.clone();
        let breaker = builder.on_transition(move |it: &Transition| {
            let at = it.at() - start;
            let step = (at, it.from(), it.to(), it.cause(), it.open_duration(), it.attempt());
            seen.lock().unwrap().push(step);
        });
        let probes = Arc::new(AtomicU64::new(0));
        let breaker = breaker.listener(CountProbes(probes.clone()));
        let breaker = breaker.build().expect("only valid settings are drawn");
        Self {
            breaker,
            steps,
            probes,
            above_threshold_since: None,
            longest_above_threshold: Duration::ZERO,
            last_look: start,
            window,
        }
    }

    /// Notes for how long the rate has been above its threshold while the circuit was closed.
    fn look(&mut self) {
        let snapshot = self.breaker.snapshot();
        let is_above = snapshot.trip_rules().any(|rule| match rule {
            TripRule::FailureRate { failures, calls, threshold, .. } => {
                failures > 0 && failures as f64 / calls as f64 >= threshold
            }
            _ => false,
        });
        let is_above = is_above && snapshot.state() == State::Closed;
        let now = Instant::now();
        // What was seen last holds until the window is empty.
        let is_empty = self.window.is_some_and(|length| now > self.last_look + length);
        let until = if is_empty { self.last_look + self.window.unwrap() } else { now };
        if let Some(since) = self.above_threshold_since {
            self.longest_above_threshold = self.longest_above_threshold.max(until - since);
        }
        if is_empty || !is_above {
            self.above_threshold_since = None;
        }
        if is_above {
            self.above_threshold_since.get_or_insert(now);
        }
        self.last_look = now;
    }
}

async fn advance_to(at: Instant) {
    advance(at - Instant::now()).await;
}

fn end(permit: Permit, call: &Call) {
    match (call.ending, call.retry_after) {
        (Some(Ending::Success), _) => permit.success(),
        (Some(Ending::Failure), Some(wait)) => permit.failure_retry_after(wait),
        (Some(Ending::Failure), None) => permit.failure(),
        (Some(Ending::SoftFailure), _) => permit.record(Outcome::SoftFailure),
        (Some(Ending::Abandoned), _) => drop(permit),
        (Some(_) | None, _) => permit.record(Outcome::Ignored),
    }
}

/// Makes the calls of a trace on a clock that has to be paused.
pub(crate) async fn make(settings: &Settings, trace: &Trace) -> Real {
    make_with(settings, trace, |_, builder| builder).await
}

/// The same, with something more about the breaker of each key.
pub(crate) async fn make_with(
    settings: &Settings,
    trace: &Trace,
    with: impl Fn(&str, CircuitBreakerBuilder) -> CircuitBreakerBuilder,
) -> Real {
    let start = Instant::now();
    let calls = trace.calls();
    let keys: BTreeSet<_> = calls.iter().map(|call| call.key.clone()).collect();
    let mut circuits: BTreeMap<_, _> = keys
        .into_iter()
        .map(|key| {
            let builder = with(&key, settings.builder(&key));
            (key, Circuit::new(builder, start, settings.window_length()))
        })
        .collect();
    let mut in_flight: BTreeMap<(Duration, usize), Permit> = BTreeMap::new();
    let mut fates = Vec::new();
    // Whoever looks at a circuit lets it find the calls that hang, which may change what happens.
    let may_look = !settings.counts_in_flight();

    for (number, call) in calls.iter().chain([&last()]).enumerate() {
        while in_flight.first_key_value().is_some_and(|((ends, _), _)| *ends <= call.at) {
            let ((ends, number), permit) = in_flight.pop_first().unwrap();
            advance_to(start + ends).await;
            end(permit, &calls[number]);
            let circuit = circuits.get_mut(&calls[number].key).unwrap();
            if may_look {
                circuit.look();
            }
        }
        let Some(circuit) = circuits.get_mut(&call.key) else { break };
        advance_to(start + call.at).await;
        match circuit.breaker.try_acquire() {
            Ok(permit) => {
                let is_probe = circuit.probes.swap(0, Ordering::Relaxed) > 0;
                fates.push(if is_probe { Fate::Probe } else { Fate::Admitted });
                in_flight.insert((call.at + call.duration, number), permit);
            }
            Err(_) => fates.push(Fate::Shed),
        }
        if may_look {
            circuit.look();
        }
    }
    let ends = calls.iter().map(|call| call.at + call.duration).max().unwrap_or_default();
    advance_to(start + ends).await;
    circuits.values_mut().filter(|_| may_look).for_each(Circuit::look);
    let longest = circuits.values().map(|it| it.longest_above_threshold).max();
    let steps = circuits.into_iter().map(|(key, it)| (key, it.steps.lock().unwrap().clone()));
    let steps = steps.collect();
    Real { fates, steps, longest_above_threshold: longest.filter(|_| may_look) }
}

/// A call of no circuit, before which all others end.
fn last() -> Call {
    Call::rejected(Duration::from_secs(1_000_000)).with_key("after the last")
}

fn steps_of(report: &replay::Report, key: &str) -> Vec<Step> {
    let own = report.transitions().iter().filter(|it| *it.key == *key);
    own.map(|it| (it.at, it.from, it.to, it.cause, it.open_duration, it.attempt)).collect()
}

pub(crate) fn on_a_paused_clock<T>(run: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(run)
}

proptest! {
    #![proptest_config(cases(2048))]

    #[test]
    fn a_replay_makes_the_transitions_of_a_real_breaker_at_the_same_nanosecond(
        trace in trace(),
        settings in settings(),
    ) {
        let report = replay::run(&settings.builder(""), &trace).unwrap();
        let real = on_a_paused_clock(make(&settings, &trace));
        prop_assert_eq!(report.fates(), &real.fates);
        for (key, steps) in &real.steps {
            prop_assert_eq!(&steps_of(&report, key), steps, "circuit {}", key);
        }
        if let (true, Some(longest)) = (settings.judges_failure_rate(), real.longest_above_threshold) {
            prop_assert_eq!(report.longest_above_threshold(), Some(longest));
        }
    }
}
