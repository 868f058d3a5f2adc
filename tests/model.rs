//! The real circuit and a naive reading of its specification, side by side: after every step of
//! random runs under random settings both must have admitted, counted and decided the same.

#[path = "model/both.rs"]
mod both;
#[path = "model/ops.rs"]
mod ops;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/settings.rs"]
mod settings;
#[path = "model/story.rs"]
mod story;

use std::fmt;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm, TestCaseError};
use tower_breaker::{RejectReason, State};

use crate::both::{Both, LAST, duration};
use crate::ops::{Op, ops};
use crate::reference::Ending;
use crate::settings::{Settings, settings};

type Checked = Result<(), TestCaseError>;

#[derive(Clone)]
struct Run {
    settings: Settings,
    ops: Vec<Op>,
    /// Looks at the circuit after every so many steps: a look must not be what keeps it up to date.
    look_every: usize,
    leak_at_the_end: bool,
}

/// Without the steps: the error tells what happened in them.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, ops, look_every, leak_at_the_end } = self;
        let settings = format!("{settings:?}"); // not over several lines
        write!(f, "{} steps, look_every: {look_every}, ", ops.len())?;
        write!(f, "leak_at_the_end: {leak_at_the_end}, {settings}")
    }
}

/// The steps come first, because they are also made fewer first, and runs are quick then.
fn run(most_steps: usize) -> impl Strategy<Value = Run> {
    let look_every = prop_oneof![2 => Just(1), 1 => 2..=200_usize];
    (ops(most_steps), settings(), look_every, any::<bool>()).prop_map(
        |(ops, settings, look_every, leak_at_the_end)| Run {
            settings,
            ops,
            look_every,
            leak_at_the_end,
        },
    )
}

/// So many cases if PROPTEST_CASES does not say otherwise, and in proportion if it does. With the
/// default generator of random numbers, drawing the runs would take most of the time.
fn cases(by_default: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: (default.cases * by_default / 256).max(1),
        max_shrink_iters: 100_000,
        rng_algorithm: RngAlgorithm::XorShift,
        // Beside this file, in `model.regressions`: run before all others.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..default
    }
}

proptest! {
    #![proptest_config(cases(2048))]

    #[test]
    fn the_circuit_agrees_with_the_model_at_every_step(run in run(200)) {
        check(&run, agrees)?;
    }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn the_circuit_agrees_with_the_model_through_thousands_of_steps(run in run(8000)) {
        check(&run, agrees)?;
    }
}

// What holds whatever the model says.
proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn probes_are_never_too_many_in_a_half_open_period(run in run(200)) {
        check(&run, admits_no_probe_too_many)?;
    }

    #[test]
    fn the_circuit_is_never_wedged(run in run(200)) {
        check(&run, is_not_wedged)?;
    }
}

/// Takes a new circuit and a new model through the run.
fn check(run: &Run, promise: impl AsyncFnOnce(&Run, &mut Both) -> Checked) -> Checked {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(async {
            let mut both = Both::new(&run.settings, run.ops.len());
            promise(run, &mut both).await.map_err(|error| both.told(error))
        })
}

async fn agrees(run: &Run, both: &mut Both) -> Checked {
    for (index, op) in run.ops.iter().enumerate() {
        both.apply(*op).await?;
        if (index + 1) % run.look_every == 0 || index + 1 == run.ops.len() {
            both.compare()?;
        }
    }
    Ok(())
}

/// Goes by the circuit alone: a half-open period ends when the state is another one.
async fn admits_no_probe_too_many(run: &Run, both: &mut Both) -> Checked {
    let places = run.settings.half_open().places();
    let mut successes = 0;
    let mut probes = Vec::new();
    for op in &run.ops {
        let before = both.admitted;
        let ended = both.apply(*op).await?;
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
        prop_assert!(taken <= places, "{taken} probes of {places}");
    }
    Ok(())
}

async fn is_not_wedged(run: &Run, both: &mut Both) -> Checked {
    let wait = run.settings.wait.longest().max(run.settings.max_retry_after());
    let longest = run.settings.probe_timeout() + wait;
    if longest > LAST {
        return Ok(());
    }
    for op in &run.ops {
        both.apply(*op).await?;
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
