//! The real circuit and a naive reading of its specification, side by side: after every step of
//! random runs under random settings both must have admitted, counted and decided the same.

#[path = "model/ops.rs"]
mod ops;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/settings.rs"]
mod settings;

use std::fmt;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError};
use tokio::time::Instant;
use tower_breaker::{CircuitBreaker, Permit, RejectReason, Rejected, State, Transition};

use crate::ops::{Edge, Mark, Op, Span, Which, ops};
use crate::reference::{Change, Counts, Ending, Look, Model, Refusal, Ticket, grid};
use crate::settings::{Nanos, Settings, settings};

const YEAR: Nanos = 365 * 24 * 3600 * 1_000_000_000;

/// No run lasts longer.
const LAST: Nanos = 100 * YEAR;

/// Longer than any run, as the circuit's own "never" may be: no number is compared beyond it.
const NEVER: Nanos = 150 * YEAR;

type Checked = Result<(), TestCaseError>;

#[derive(Clone)]
struct Run {
    settings: Settings,
    ops: Vec<Op>,
    /// Looks at the circuit after every so many steps: a look must not be what keeps it up to date.
    look_every: usize,
    leak_at_the_end: bool,
}

/// A step a line, whatever the formatter would do.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, ops, look_every, leak_at_the_end } = self;
        let settings = format!("{settings:?}");
        writeln!(f, "look_every: {look_every}, leak_at_the_end: {leak_at_the_end}\n{settings}")?;
        ops.iter().enumerate().try_for_each(|(index, op)| writeln!(f, "{}", At(index, *op)))
    }
}

fn run() -> impl Strategy<Value = Run> {
    let look_every = prop_oneof![2 => Just(1), 1 => 2..=200_usize];
    (settings(), ops(), look_every, any::<bool>()).prop_map(
        |(settings, ops, look_every, leak_at_the_end)| Run {
            settings,
            ops,
            look_every,
            leak_at_the_end,
        },
    )
}

/// A multiple of the default, so that PROPTEST_CASES still scales it. With the default generator of
/// random numbers, drawing the runs would take most of the time.
fn cases(times: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: times * default.cases,
        max_shrink_iters: 100_000,
        rng_algorithm: RngAlgorithm::XorShift,
        ..default
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn the_circuit_agrees_with_the_model_at_every_step(run in run()) {
        with_paused_clock(agrees(&run))?;
    }
}

// What holds whatever the model says.
proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn probes_are_never_too_many_in_a_half_open_period(run in run()) {
        with_paused_clock(admits_no_probe_too_many(&run))?;
    }

    #[test]
    fn the_circuit_is_never_wedged(run in run()) {
        with_paused_clock(is_not_wedged(&run))?;
    }
}

fn with_paused_clock(run: impl Future<Output = Checked>) -> Checked {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(run)
}

async fn agrees(run: &Run) -> Checked {
    let mut both = Both::new(&run.settings);
    for (index, op) in run.ops.iter().enumerate() {
        let at = At(index, *op);
        both.apply(at).await?;
        if (index + 1) % run.look_every == 0 || index + 1 == run.ops.len() {
            both.compare(at)?;
        }
    }
    Ok(())
}

/// Goes by the circuit alone: a half-open period ends when the state is another one.
async fn admits_no_probe_too_many(run: &Run) -> Checked {
    let places = run.settings.half_open().places();
    let mut both = Both::new(&run.settings);
    let mut successes = 0;
    let mut probes = Vec::new();
    for (index, op) in run.ops.iter().enumerate() {
        let before = both.admitted;
        let ended = both.apply(At(index, *op)).await?;
        if both.real.state() != State::HalfOpen {
            (successes, probes) = (0, Vec::new());
            continue;
        }
        probes.extend(before..both.admitted);
        if let Some((probe, ending)) = ended.filter(|(probe, _)| probes.contains(probe)) {
            if ending != Ending::Never {
                probes.retain(|other| *other != probe);
            }
            successes += usize::from(ending == Ending::Success);
        }
        let taken = probes.len() + successes;
        prop_assert!(taken <= places, "{taken} probes of {places}, {}", At(index, *op));
    }
    Ok(())
}

async fn is_not_wedged(run: &Run) -> Checked {
    let wait = run.settings.wait.longest().max(run.settings.max_retry_after());
    let longest = run.settings.probe_timeout() + wait;
    if longest > LAST {
        return Ok(());
    }
    let mut both = Both::new(&run.settings);
    for (index, op) in run.ops.iter().enumerate() {
        both.apply(At(index, *op)).await?;
    }
    both.abandon_all(run.leak_at_the_end);
    tokio::time::advance(duration(longest)).await;
    match both.real.try_acquire() {
        Ok(_) => prop_assert!(!is_forced_open(&run.ops), "admitted while forced open"),
        Err(rejected) => {
            prop_assert!(is_forced_open(&run.ops), "wedged: {rejected}");
            prop_assert_eq!(rejected.reason(), RejectReason::ForcedOpen);
        }
    }
    Ok(())
}

fn is_forced_open(ops: &[Op]) -> bool {
    let last = ops.iter().rfind(|op| matches!(op, Op::ForceOpen | Op::ForceClosed | Op::Resume));
    matches!(last, Some(Op::ForceOpen))
}

/// The step that is being taken, for messages.
#[derive(Clone, Copy)]
struct At(usize, Op);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(index, op) = self;
        let op = format!("{op:?}"); // not over several lines
        write!(f, "op {index}: {op}")
    }
}

/// The circuit, the model, and the calls that both have in flight.
struct Both {
    settings: Settings,
    real: CircuitBreaker,
    model: Model,
    /// When both were created.
    start: Instant,
    in_flight: Vec<Flight>,
    admitted: usize,
    orphans: Vec<Permit>,
}

struct Flight {
    number: usize,
    permit: Permit,
    ticket: Ticket,
}

impl Both {
    fn new(settings: &Settings) -> Self {
        let orphans = orphans(settings);
        Self {
            settings: settings.clone(),
            real: settings.build("model"),
            model: Model::new(settings.clone()),
            start: Instant::now(),
            in_flight: Vec::new(),
            admitted: 0,
            orphans,
        }
    }

    /// Returns which call it ended, if it did.
    async fn apply(&mut self, at: At) -> Result<Option<(usize, Ending)>, TestCaseError> {
        let At(_, op) = at;
        match op {
            Op::Acquire => self.acquire(at)?,
            Op::End(which, ending) => return Ok(self.end(which, ending)),
            Op::Call(ending) => return self.call(ending, at),
            Op::Advance(span) => self.advance(span).await,
            Op::EndOrphan(ending) => self.end_orphan(ending),
            Op::Trip => {
                self.real.trip();
                self.model.trip();
            }
            Op::Reset => {
                self.real.reset();
                self.model.reset();
            }
            Op::ForceOpen => {
                self.real.force_open();
                self.model.force_open();
            }
            Op::ForceClosed => {
                self.real.force_closed();
                self.model.force_closed();
            }
            Op::Resume => {
                self.real.resume();
                self.model.resume();
            }
        }
        Ok(None)
    }

    fn acquire(&mut self, at: At) -> Checked {
        match (self.real.try_acquire(), self.model.try_acquire()) {
            (Ok(permit), Ok(ticket)) => {
                self.in_flight.push(Flight { number: self.admitted, permit, ticket });
                self.admitted += 1;
                Ok(())
            }
            (Err(rejected), Err(refusal)) => {
                prop_assert_eq!(seen_refusal(&rejected), capped_refusal(refusal), "{}", at);
                Ok(())
            }
            (Ok(_), Err(refusal)) => {
                Err(TestCaseError::fail(format!("{at}: admitted, expected {refusal:?}")))
            }
            (Err(rejected), Ok(_)) => {
                Err(TestCaseError::fail(format!("{at}: expected admission, got {rejected:?}")))
            }
        }
    }

    fn end(&mut self, which: Which, ending: Ending) -> Option<(usize, Ending)> {
        let newest = self.in_flight.len().checked_sub(1)?;
        let flight = self.in_flight.remove(match which {
            Which::Newest => newest,
            Which::Oldest => 0,
            Which::Any(place) => place % (newest + 1),
        });
        settle(flight.permit, ending);
        self.model.settle(flight.ticket, ending);
        Some((flight.number, ending))
    }

    fn call(&mut self, ending: Ending, at: At) -> Result<Option<(usize, Ending)>, TestCaseError> {
        let before = self.admitted;
        self.acquire(at)?;
        let is_admitted = self.admitted > before;
        Ok(is_admitted.then(|| self.end(Which::Newest, ending)).flatten())
    }

    fn end_orphan(&mut self, ending: Ending) {
        if let Some(permit) = self.orphans.pop() {
            settle(permit, ending);
        }
    }

    async fn advance(&mut self, span: Span) {
        let by = self.length(span).min(LAST - self.model.now());
        tokio::time::advance(duration(by)).await;
        self.model.advance(by);
    }

    fn length(&self, span: Span) -> Nanos {
        match span {
            Span::Nothing => 0,
            Span::Millis(millis) => Nanos::from(millis) * 1_000_000,
            Span::Year => YEAR,
            // What takes decades would leave no time for the rest of the run.
            Span::Until(mark, edge) => match (self.until(mark).min(2 * YEAR), edge) {
                (length, Edge::JustBefore) => length.saturating_sub(1),
                (length, Edge::Exactly) => length,
                (length, Edge::JustAfter) => length + 1,
            },
        }
    }

    fn until(&self, mark: Mark) -> Nanos {
        let now = self.model.now();
        let (step, _) = grid(&self.settings);
        let nanos = |d: Option<Duration>| d.map_or(0, |d| d.as_nanos());
        match mark {
            Mark::RetryAfter => self.model.look().retry_after.unwrap_or(0),
            Mark::ProbeDeadline => self.model.first_deadline().map_or(0, |end| end - now),
            Mark::SlowDuration => nanos(self.settings.slow_duration),
            Mark::AbandonedAfter => nanos(self.settings.abandoned_after),
            Mark::Bucket => step,
            Mark::NextBucket => step - now % step,
            Mark::Expiry => self.model.next_expiry().map_or(0, |time| time - now),
        }
    }

    fn compare(&self, at: At) -> Checked {
        let expected = self.model.look();
        let retry_after = expected.retry_after.map(|nanos| nanos.min(NEVER));
        let seen = seen(&self.real);
        prop_assert_eq!(self.real.state(), seen.state, "state() and snapshot(), {}", at);
        prop_assert_eq!(seen, Look { retry_after, ..expected }, "{}", at);
        let history = self.real.history();
        let seen: Vec<Change> = history.iter().map(|change| self.seen_change(change)).collect();
        let expected: Vec<Change> = self.model.history().iter().map(capped_change).collect();
        prop_assert_eq!(seen, expected, "{}", at);
        Ok(())
    }

    fn seen_change(&self, transition: &Transition) -> Change {
        Change {
            from: transition.from(),
            to: transition.to(),
            cause: transition.cause(),
            at: transition.at().duration_since(self.start).as_nanos(),
            open_duration: transition.open_duration().map(|d| d.as_nanos().min(NEVER)),
            attempt: transition.attempt(),
        }
    }

    fn abandon_all(&mut self, leak: bool) {
        for flight in self.in_flight.drain(..) {
            settle(flight.permit, if leak { Ending::Never } else { Ending::Dropped });
        }
    }
}

/// Permits of an earlier breaker that is gone, and whose memory the next one may have taken over.
fn orphans(settings: &Settings) -> Vec<Permit> {
    let earlier = settings.build("earlier");
    (0..3).map(|_| earlier.try_acquire().expect("a new circuit is closed")).collect()
}

fn settle(permit: Permit, ending: Ending) {
    match ending {
        Ending::Success => permit.success(),
        Ending::Failure => permit.failure(),
        Ending::FailureRetryAfter(wish) => permit.failure_retry_after(wish),
        Ending::Ignored => permit.ignore(),
        Ending::Dropped => drop(permit),
        Ending::Never => std::mem::forget(permit),
    }
}

fn seen(circuit: &CircuitBreaker) -> Look {
    let snapshot = circuit.snapshot();
    let number = |n: u64| usize::try_from(n).expect("a small number");
    Look {
        state: snapshot.state(),
        counts: Counts {
            calls: number(snapshot.calls()),
            failures: number(snapshot.failures()),
            slow_calls: number(snapshot.slow_calls()),
            consecutive_failures: number(snapshot.consecutive_failures()),
        },
        failure_rate: snapshot.failure_rate(),
        slow_call_rate: snapshot.slow_call_rate(),
        retry_after: snapshot.retry_after().map(|d| d.as_nanos().min(NEVER)),
    }
}

fn seen_refusal(rejected: &Rejected) -> Refusal {
    Refusal {
        reason: rejected.reason(),
        retry_after: rejected.retry_after().map(|d| d.as_nanos().min(NEVER)),
    }
}

fn capped_refusal(refusal: Refusal) -> Refusal {
    Refusal { retry_after: refusal.retry_after.map(|nanos| nanos.min(NEVER)), ..refusal }
}

fn capped_change(change: &Change) -> Change {
    Change { open_duration: change.open_duration.map(|nanos| nanos.min(NEVER)), ..change.clone() }
}

fn duration(nanos: Nanos) -> Duration {
    let second = 1_000_000_000;
    let seconds = u64::try_from(nanos / second).expect("a length of time that can pass");
    Duration::new(seconds, u32::try_from(nanos % second).expect("less than a second"))
}
