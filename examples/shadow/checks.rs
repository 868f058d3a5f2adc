//! Checks that the run went as expected. The result is the exit code.
//!
//! The limits are wide, because the machine may be busy with something else.

use tower_breaker::State;

use crate::load::Seen;
use crate::run::{ALL, OTHER_THRESHOLD, QUARTER, Run, SHADOW};

/// Prints the checks. Returns whether all have passed.
pub(crate) fn print(run: &Run) -> bool {
    let stages = &run.pages.stages;
    let openings = |stage| run.pages.openings.iter().filter(move |o| o.stage == stage).count();
    let turned_away = |stage: usize| stages[stage].shadow.all() + stages[stage].rejected;
    let quarter = f64::from(stages[QUARTER].rejected) - 0.25 * f64::from(turned_away(QUARTER));
    let in_vain = |stage: usize| stages[stage].in_vain().as_secs_f64();

    let checks = [
        ("every call is accounted for", seen_by_the_breaker(run) == run.seen),
        ("in shadow mode, nothing is rejected", stages[SHADOW].rejected == 0),
        ("the circuit turned calls away in shadow mode", turned_away(SHADOW) > 20),
        ("a quarter of the rejections was enforced", quarter.abs() <= 1.0),
        ("then all of them were", stages[ALL].shadow.all() == 0 && stages[ALL].rejected > 20),
        ("callers waited for less time", in_vain(ALL) < 0.6 * in_vain(SHADOW)),
        ("the mistake in the file was reported once", run.mistakes == 1),
        ("the other threshold was taken over once", run.pages.reconfigured == 1),
        ("the broken instance opened the circuit", openings(SHADOW) > 1 && openings(ALL) > 1),
        ("with the other threshold, it did not", openings(OTHER_THRESHOLD) == 1),
        ("in the end, the circuit is closed", run.last_state == State::Closed),
    ];
    println!("\nChecks");
    for (what, passed) in checks {
        println!("{} {what}", if passed { "✓" } else { "✗" });
    }
    checks.iter().all(|(_, passed)| *passed)
}

/// Returns what the listener of the breaker knows of all calls.
fn seen_by_the_breaker(run: &Run) -> Seen {
    let mut seen = Seen::default();
    for stage in &run.pages.stages {
        seen.succeeded += stage.admitted.succeeded + stage.shadow.succeeded;
        seen.failed += stage.admitted.failed + stage.shadow.failed;
        seen.rejected += stage.rejected;
    }
    seen
}
