//! A run, and what must hold in it.

use std::fmt;

use tower_breaker::{RejectReason, State};

use crate::both::{At, Both, Checked, LAST, duration};
use crate::ops::Op;
use crate::reference::Ending;
use crate::settings::Settings;

#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) settings: Settings,
    pub(crate) ops: Vec<Op>,
    /// Looks at the circuit after every so many steps: a look must not be what keeps it up to date.
    pub(crate) look_every: usize,
    pub(crate) leak_at_the_end: bool,
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

/// Each run has a clock of its own.
pub(crate) fn with_paused_clock(run: impl Future<Output = Checked>) -> Checked {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(run)
}

pub(crate) async fn agrees(run: &Run) -> Checked {
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
pub(crate) async fn admits_no_probe_too_many(run: &Run) -> Checked {
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
        if taken > places {
            return Err(format!("{}: {taken} probes of {places}", At(index, *op)));
        }
    }
    Ok(())
}

pub(crate) async fn is_not_wedged(run: &Run) -> Checked {
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
    match (both.real.try_acquire(), is_forced_open(&run.ops)) {
        (Ok(_), false) => Ok(()),
        (Err(rejected), true) if rejected.reason() == RejectReason::ForcedOpen => Ok(()),
        (Ok(_), true) => Err("admitted while forced open".into()),
        (Err(rejected), _) => Err(format!("wedged: {rejected}")),
    }
}

fn is_forced_open(ops: &[Op]) -> bool {
    let last = ops.iter().rfind(|op| matches!(op, Op::ForceOpen | Op::ForceClosed | Op::Resume));
    matches!(last, Some(Op::ForceOpen))
}
