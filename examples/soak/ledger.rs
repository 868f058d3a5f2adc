//! The record of one circuit: its events, and the calls that were made through it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tower_breaker::{CircuitBreaker, Ending, Event, EventKind, Settled, State, Transition};

use crate::call::{Call, PROBE};
use crate::findings::{Check, Findings};
use crate::periods::{Period, Rules};
use crate::settings::{LONGEST_PROBE, PROBE_TIMEOUT, is_sample};

/// After this time, all calls that were admitted before have ended. The clients give up much earlier.
const GRACE: Duration = Duration::from_secs(15);

pub(crate) struct Ledger {
    pub(crate) circuit: usize,
    pub(crate) name: &'static str,
    /// Whether the circuit protects a service. Its `poll_ready` may take a probe slot without a call.
    reserves: bool,
    pub(crate) breaker: OnceLock<CircuitBreaker>,
    numbers: AtomicU64,
    admitted: AtomicU64,
    endings: [AtomicU64; 4],
    rejected: AtomicU64,
    /// The duration in nanoseconds of the probe that took longest to succeed too late.
    late_success: AtomicU64,
    history: Mutex<History>,
    pub(crate) findings: Findings,
}

/// The half-open periods and the probes that have not been judged yet.
#[derive(Default)]
struct History {
    periods: VecDeque<Period>,
    probes: Vec<Arc<Call>>,
    totals: Totals,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) transitions: u64,
    pub(crate) half_open: u64,
    /// Half-open periods with a probe that may belong to another period.
    pub(crate) blurred: u64,
    pub(crate) probes: u64,
    pub(crate) arrived: u64,
}

impl Ledger {
    pub(crate) fn new(circuit: usize, name: &'static str, reserves: bool) -> Arc<Self> {
        Arc::new(Self {
            circuit,
            name,
            reserves,
            breaker: OnceLock::new(),
            numbers: AtomicU64::new(0),
            admitted: AtomicU64::new(0),
            endings: Default::default(),
            rejected: AtomicU64::new(0),
            late_success: AtomicU64::new(0),
            history: Mutex::default(),
            findings: Findings::default(),
        })
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn count_admitted(&self) {
        self.admitted.fetch_add(1, Ordering::Relaxed);
    }

    /// Records an error in the breaker.
    pub(crate) fn find(&self, check: Check, what: impl Into<String>) {
        self.findings.add(check, format!("{}: {}", self.name, what.into()));
    }

    /// Records an event. This is the listener.
    pub(crate) fn on_event(&self, event: &Event<'_>) {
        match event.kind() {
            EventKind::Transition(transition) => self.transition(transition),
            EventKind::ProbeAdmitted => self.probe(),
            EventKind::Settled(settled) => self.settled(settled),
            EventKind::Rejected(_) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn transition(&self, transition: &Transition) {
        let mut history = self.history();
        history.totals.transitions += 1;
        if let Some(period) = history.periods.back_mut().filter(|period| period.end.is_none()) {
            period.end = Some(transition.clone());
        }
        if transition.to() == State::HalfOpen {
            history.totals.half_open += 1;
            history.periods.push_back(Period::new(transition.at()));
        }
    }

    fn probe(&self) {
        let Some(call) = Call::current() else {
            return self.find(Check::Once, "a probe was admitted outside a call");
        };
        if call.probe_since.set(Instant::now()).is_err() {
            self.find(Check::Once, "a call was admitted as a probe twice");
        }
        let mut history = self.history();
        history.totals.probes += 1;
        history.probes.push(call);
    }

    fn settled(&self, settled: Settled) {
        self.endings[settled.ending() as usize].fetch_add(1, Ordering::Relaxed);
        match Call::current() {
            None => self.find(Check::Once, "a call was settled outside a call"),
            Some(call) => {
                if call.probe_since.get().is_some() {
                    self.late_success(&settled);
                }
                if call.settled.set(settled).is_err() {
                    self.find(Check::Once, "a call was settled twice");
                }
            }
        }
    }

    fn late_success(&self, settled: &Settled) {
        if settled.is_stale() && settled.ending() == Ending::Success {
            let took = settled.duration().unwrap_or_default().as_nanos() as u64;
            self.late_success.fetch_max(took, Ordering::Relaxed);
        }
    }

    /// Returns the longest time that a probe may have had so far.
    pub(crate) fn longest_probe(&self) -> Duration {
        let late = Duration::from_nanos(self.late_success.load(Ordering::Relaxed));
        (2 * late).clamp(PROBE_TIMEOUT, LONGEST_PROBE)
    }

    fn arrived(&self, number: u64) {
        let mut history = self.history();
        history.totals.arrived += 1;
        let probe = history.probes.iter().rev().find(|probe| probe.number == number);
        if let Some(probe) = probe {
            probe.arrived.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Judges the periods that are old enough that all their calls have ended. At the end, judges all periods.
    pub(crate) fn audit(&self, at_the_end: bool) {
        let mut history = self.history();
        let is_old = |at: Instant| at_the_end || at.elapsed() > GRACE;
        while history.periods.front().and_then(Period::ended).is_some_and(is_old) {
            let period = history.periods.pop_front().expect("there is a period");
            let (own, others) = std::mem::take(&mut history.probes)
                .into_iter()
                .partition(|probe| period.may_have_admitted(probe));
            history.probes = others;
            let mut blurred = period.blurred;
            if let Some(next) = history.periods.front_mut() {
                next.blurred = own.iter().any(|probe| next.may_have_admitted(probe));
                blurred |= next.blurred;
            }
            if blurred {
                history.totals.blurred += 1;
            } else {
                let rules = Rules {
                    reserves: self.reserves,
                    is_sample: is_sample(self.circuit),
                    longest_probe: self.longest_probe(),
                };
                rules.judge(&period, &own, |check, what| self.find(check, what));
            }
        }
        if at_the_end {
            let left = history.probes.len();
            if left > 0 {
                self.find(
                    Check::Slots,
                    format!("{left} probes were admitted outside of half-open periods"),
                );
            }
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn totals(&self) -> Totals {
        self.history().totals
    }

    pub(crate) fn admitted(&self) -> u64 {
        self.admitted.load(Ordering::Relaxed)
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    pub(crate) fn ended(&self, ending: Ending) -> u64 {
        self.endings[ending as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn breaker(&self) -> &CircuitBreaker {
        self.breaker.get().expect("the breaker is set when the stack is built")
    }
}

/// The ledgers of all circuits, by number.
#[derive(Clone)]
pub(crate) struct Ledgers(pub(crate) Arc<[Arc<Ledger>]>);

impl Ledgers {
    /// The backend has received a request.
    pub(crate) fn arrived(&self, headers: &HeaderMap) {
        let Some(probe) = headers.get(PROBE) else { return };
        let probe = probe.to_str().expect("the value consists of digits").split_once(' ');
        let (circuit, number) = probe.expect("the number of the circuit and that of the probe");
        let circuit: usize = circuit.parse().expect("a number");
        self.0[circuit].arrived(number.parse().expect("a number"));
    }
}
