//! A run, and what must hold during it.

use std::fmt;
use std::time::Duration;

use tower_breaker::{CircuitBreaker, Permit, RejectReason, Rejected, State};

use crate::both::{Both, Checked, LAST, duration};
use crate::ops::Op;
use crate::reference::Ending;
use crate::reference::MOST_EXTENDED;
use crate::settings::{Nanos, Settings};

#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) settings: Settings,
    /// The settings that the circuit may be changed to.
    pub(crate) others: Vec<Settings>,
    pub(crate) ops: Vec<Op>,
    /// The circuit is compared with the model after every so many steps. It is not always 1, because reading
    /// the circuit must not be what keeps it up to date.
    pub(crate) look_every: usize,
    pub(crate) leak_at_the_end: bool,
}

/// Prints a run without its steps, because the error describes what happened in them.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, others, ops, look_every, leak_at_the_end } = self;
        let settings = format!("{settings:?}, later {others:?}"); // on one line
        write!(f, "{} steps, look_every: {look_every}, ", ops.len())?;
        write!(f, "leak_at_the_end: {leak_at_the_end}, {settings}")
    }
}

/// Takes a new circuit and a new model through the run. They have a clock of their own.
pub(crate) fn check(run: &Run, property: impl AsyncFnOnce(&Run, &mut Both) -> Checked) -> Checked {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(async {
            let mut both = Both::new(&run.settings, &run.others, run.ops.len());
            property(run, &mut both).await.map_err(|problem| both.explain(&problem))
        })
}

pub(crate) async fn agrees(run: &Run, both: &mut Both) -> Checked {
    for (index, op) in run.ops.iter().enumerate() {
        both.apply(*op).await?;
        if (index + 1) % run.look_every == 0 || index + 1 == run.ops.len() {
            both.compare()?;
        }
    }
    Ok(())
}

/// Checks the circuit without the model. A half-open period ends when the state changes, or when the circuit is forced
/// open for no time at all, after which it is half-open again. The settings stay as
/// they are, because a new half-open rule may permit one probe more.
pub(crate) async fn admits_no_probe_too_many(run: &Run, both: &mut Both) -> Checked {
    let slots = run.settings.half_open().count();
    let mut successes = 0;
    let mut probes = Vec::new();
    for op in run.ops.iter().filter(|op| !matches!(op, Op::Reconfigure(_))) {
        let before = both.admitted;
        let ended = both.apply(*op).await?;
        let is_recovering = both.real.snapshot().admitted_share() > 0.0;
        let is_half_open = both.real.state() == State::HalfOpen && !is_recovering;
        if !is_half_open || matches!(op, Op::ForceOpen(_) | Op::Restart(_)) {
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
        if taken > slots {
            return Err(format!("{taken} probes for {slots} slots"));
        }
    }
    Ok(())
}

pub(crate) async fn is_not_stuck(run: &Run, both: &mut Both) -> Checked {
    let all = || run.others.iter().chain([&run.settings]);
    let wait = all().map(|it| it.wait.longest().max(it.max_retry_after())).max();
    // Late successes may have extended the time of the probes.
    let probes = all().map(|it| MOST_EXTENDED * it.probe_timeout()).max();
    let forced_for = forced_open_for(&run.ops).filter(|forced_for| *forced_for <= LAST);
    let longest = probes.unwrap_or(0) + wait.unwrap_or(0) + forced_for.unwrap_or(0);
    if 2 * longest > LAST {
        return Ok(());
    }
    for op in &run.ops {
        both.apply(*op).await?;
    }
    both.abandon_all(run.leak_at_the_end);
    tokio::time::advance(duration(longest)).await;
    let is_forced_open = forced_open_for(&run.ops).is_some_and(|forced_for| forced_for > LAST);
    let mut answer = ask(&both.real);
    if !is_admitted(&answer) && !is_forced_open {
        // Calls that were leaked may open a closed circuit, once.
        tokio::time::advance(duration(longest)).await;
        answer = ask(&both.real);
    }
    match (answer, is_forced_open) {
        (Ok(permit), false) if permit.is_shadow() => Err("the circuit is stuck".into()),
        (Ok(_), false) => Ok(()),
        (Err(rejected), true) if rejected.reason() == RejectReason::ForcedOpen => Ok(()),
        (Ok(_), true) => Err("a call was admitted while forced open".into()),
        (Err(rejected), _) => Err(format!("the circuit is stuck: {rejected}")),
    }
}

fn is_admitted(answer: &Result<Permit, Rejected>) -> bool {
    answer.as_ref().is_ok_and(|permit| !permit.is_shadow())
}

/// Asks for admission. A circuit that recovers admits one call of ten at least.
fn ask(real: &CircuitBreaker) -> Result<Permit, Rejected> {
    let attempts = if real.snapshot().admitted_share() > 0.0 { 10 } else { 1 };
    let mut answer = real.try_acquire();
    for _ in 1..attempts {
        answer = if is_admitted(&answer) { answer } else { real.try_acquire() };
    }
    answer
}

/// Returns for how long the circuit is forced open, from the last step on at most.
fn forced_open_for(ops: &[Op]) -> Option<Nanos> {
    let is_about_force = |op: &&Op| {
        matches!(op, Op::ForceOpen(_) | Op::ForceClosed(_) | Op::Resume | Op::Restart(_))
    };
    match ops.iter().rfind(is_about_force)? {
        Op::ForceOpen(duration) => Some(duration.unwrap_or(Duration::MAX).as_nanos()),
        _ => None,
    }
}
