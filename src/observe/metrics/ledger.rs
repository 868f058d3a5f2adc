//! [`Ledger`]: what a circuit has done that its metrics do not show yet.

use std::mem;
use std::sync::Arc;

use super::labels::{self, FORCED_STATES, STATES, TIMED_STATES, TRANSITIONS};
use super::reading::Reading;
use crate::machine::{Cause, Change, Machine, Nanos, Rules, State, Tick, View};

/// How soon after its probes have closed it a circuit has to open again for that to count as a reopening.
const REOPENS_WITHIN: Nanos = 600 * 1_000_000_000;

/// Collects what is to be published. It is plain data and is written with the circuit's lock held, so that
/// everything comes in order. What has been collected is published without the lock.
#[derive(Default)]
pub(super) struct Ledger {
    /// The state of the circuit, or `None` before it starts and after it stops.
    state: Option<State>,
    /// The moment up to which time has been booked to a state.
    booked: Tick,
    /// The rules that were read last.
    rules: Option<Arc<Rules>>,
    current: Sums,
    /// What the gauges show.
    shown: Sums,
    /// When the probes closed the circuit, if they did.
    recovered: Option<Tick>,
    /// Whether the circuit has just tripped, so that it still shows what tripped it.
    has_tripped: bool,
    /// What is to be published next, except for the gauges that add up.
    due: Entry,
}

/// Gauges that add up over the circuits of one name.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sums {
    pub(super) states: [i64; STATES.len()],
    pub(super) forced: [i64; FORCED_STATES.len()],
    pub(super) probes: i64,
}

/// What is to be added to the metrics. Entries add up in any order.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) sums: Sums,
    /// The time spent in each of the [`TIMED_STATES`].
    pub(super) nanos: [Nanos; TIMED_STATES.len()],
    /// There is none for most circuits of a registry, so this is small.
    pub(super) transitions: Option<Box<[u32; TRANSITIONS.len()]>>,
    pub(super) reopenings: u32,
    /// What the settings say, if they are new.
    pub(super) settings: Option<Box<Settings>>,
    /// What only a circuit that has its series for itself shows.
    pub(super) reading: Option<Box<Reading>>,
}

/// What the settings of a circuit say about its series.
pub(super) struct Settings {
    /// Which of the [`TRANSITIONS`] the circuit can make by itself.
    pub(super) transitions: [bool; TRANSITIONS.len()],
    pub(super) slow_calls: bool,
    /// Whether the circuit recovers gradually.
    pub(super) ramp: bool,
    pub(super) enforcement: f64,
}

impl Ledger {
    pub(super) fn record(&mut self, change: &Change) {
        self.enter(change.to, change.at);
        if let Some(index) = labels::index(change) {
            let transitions = self.due.transitions.get_or_insert_default();
            transitions[index] = transitions[index].saturating_add(1);
        }
        match (change.from, change.to) {
            (State::Closed, State::Open) => {
                self.has_tripped = true;
                let recovered = self.recovered.take();
                if recovered.is_some_and(|at| change.at.saturating_sub(at) <= REOPENS_WITHIN) {
                    self.due.reopenings += 1;
                }
            }
            // The circuit was recovering, so its counts are those that the trip rules judge.
            (State::HalfOpen, State::Open)
                if matches!(
                    change.cause,
                    Cause::ConsecutiveFailures { .. }
                        | Cause::Hung { .. }
                        | Cause::FailureCount { .. }
                ) =>
            {
                self.has_tripped = true;
            }
            (_, State::Closed) => {
                self.recovered =
                    matches!(change.cause, Cause::ProbesSucceeded | Cause::RampCompleted)
                        .then_some(change.at);
            }
            _ => {}
        }
    }

    /// Books the time up to `now`, and reads the gauges. The first reading starts the ledger.
    pub(super) fn read(&mut self, machine: &Machine, now: Tick, has_own_series: bool) {
        let is_first = self.state.is_none();
        if is_first {
            self.booked = now;
            self.state = Some(machine.state());
        }
        self.book_time(machine, now);
        let view = machine.view(now);
        self.current = Sums::of(&view);
        if !self.rules.as_ref().is_some_and(|rules| Arc::ptr_eq(rules, &view.rules)) {
            self.due.settings = Some(Box::new(Settings::of(&view.rules)));
            self.rules = Some(view.rules.clone());
        }
        if has_own_series {
            let has_tripped = mem::take(&mut self.has_tripped) || is_first;
            let reading = Reading::of(&view, has_tripped);
            match &mut self.due.reading {
                Some(unpublished) => unpublished.replace(&reading),
                none => *none = Some(Box::new(reading)),
            }
        }
    }

    pub(super) fn stop(&mut self) {
        self.state = None;
        self.current = Sums::default();
        self.due.reading = Some(Box::default());
    }

    /// Hands over what is to be published.
    pub(super) fn take(&mut self) -> Entry {
        let shown = mem::replace(&mut self.shown, self.current);
        Entry { sums: self.current.since(&shown), ..mem::take(&mut self.due) }
    }

    /// A probe that does not report changes the state when its time has passed, although this is recorded
    /// only when the circuit is used again. Its time has been booked by then.
    fn book_time(&mut self, machine: &Machine, now: Tick) {
        if let Some(change) = machine.unrecorded_change(now) {
            self.enter(change.to, change.at);
        }
        self.book(now);
    }

    fn enter(&mut self, state: State, at: Tick) {
        self.book(at);
        self.state = Some(state);
    }

    fn book(&mut self, now: Tick) {
        if let Some(state) = self.state {
            if let Some(index) = TIMED_STATES.iter().position(|timed| *timed == state) {
                self.due.nanos[index] += now.saturating_sub(self.booked);
            }
            self.booked = self.booked.max(now);
        }
    }
}

impl Sums {
    fn of(view: &View) -> Self {
        let mut sums = Self { probes: count(view.probes_in_flight), ..Self::default() };
        sums.states[view.state as usize] = 1;
        if view.forced {
            sums.forced[usize::from(view.state != State::Closed)] = 1;
        }
        sums
    }

    /// Returns what has to be added to what is shown.
    fn since(&self, shown: &Self) -> Self {
        let mut difference = *self;
        difference.states.iter_mut().zip(shown.states).for_each(|(n, shown)| *n -= shown);
        difference.forced.iter_mut().zip(shown.forced).for_each(|(n, shown)| *n -= shown);
        difference.probes -= shown.probes;
        difference
    }
}

impl Settings {
    fn of(rules: &Rules) -> Self {
        Self {
            transitions: TRANSITIONS.map(|transition| labels::is_automatic(rules, transition)),
            slow_calls: rules.slow_call_duration.is_some(),
            ramp: rules.ramp > 0,
            enforcement: rules.enforcement,
        }
    }
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
