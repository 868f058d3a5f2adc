//! Checks that the run went as expected. The result is the exit code.
//!
//! The limits are wide, because the machine may be busy with something else.

use std::time::Duration;

use tower_breaker::{Cause, State, Transition};

use crate::callers::{Answer, End};
use crate::gateway::PATIENCE;
use crate::report::waits;
use crate::{HANGING, MODELS, PHASES, Run, STALLED};

const SECOND: Duration = Duration::from_secs(1);

/// Prints the checks. Returns whether all have passed.
pub(crate) fn print(run: &Run) -> bool {
    let [north, east, _] = MODELS;
    let ended = |end| run.answers.iter().filter(move |answer| answer.end == end);
    let is_by_one = |answer: &Answer| answer.end == End::Refused || answer.model().is_some();
    let by_north = |answer: &Answer| answer.model() == Some(0);
    let last: Vec<_> = run.answers_in(PHASES.len() - 1).collect();
    let last_by_north = last.iter().filter(|answer| by_north(answer)).count();

    let checks = [
        ("callers were hardly ever refused", 20 * ended(End::Refused).count() < run.answers.len()),
        ("no answer mixes two models", run.answers.iter().all(is_by_one)),
        ("answers broke off, and callers saw it", ended(End::BrokeOff).count() >= 5),
        ("all of these were begun by north", ended(End::BrokeOff).all(by_north)),
        ("a model that sends only comments is slow", opened_as_slow(run, north)),
        ("so is one whose first token is late", opened_as_slow(run, east)),
        ("with their circuits open, callers hardly waited", waited_less(run)),
        ("north was left alone while it asked for it", kept_the_pause(run)),
        ("a model that hangs was seen before a timeout ended", saw_it_hang(run)),
        ("checks were made as probes", run.checks >= 3),
        ("in the end, north answers again", 2 * last_by_north > last.len()),
        ("and all circuits are closed", run.last_states == [State::Closed; 3]),
    ];
    println!("\nChecks");
    for (what, passed) in checks {
        println!("{} {what}", if passed { "✓" } else { "✗" });
    }
    checks.iter().all(|(_, passed)| *passed)
}

/// Returns the transitions in which the circuit of a model that was closed opened.
fn openings<'a>(run: &'a Run, model: &'a str) -> impl Iterator<Item = &'a Transition> {
    run.transitions.iter().filter(move |it| it.breaker() == model && it.from() == State::Closed)
}

fn opened_as_slow(run: &Run, model: &str) -> bool {
    openings(run, model).any(|it| {
        matches!(it.cause(), Cause::SlowCallRate { .. }) && run.phase_at(it.at()) == STALLED
    })
}

/// Judges the last third of the callers of the phase in which two models are in trouble.
fn waited_less(run: &Run) -> bool {
    let all = run.answers_in(STALLED).count();
    let waits = waits(run.answers_in(STALLED).skip(all - all / 3));
    waits[waits.len() / 2] < PATIENCE / 4
}

/// Judges how often north was asked in the second after it asked for a pause. Calls that were admitted before are
/// on their way.
fn kept_the_pause(run: &Run) -> bool {
    let Some(opening) = openings(run, MODELS[0]).find(|it| it.cause() == Cause::RetryAfter) else {
        return false;
    };
    let during = |at: &&_| (opening.at()..opening.at() + SECOND).contains(*at);
    run.asked[0].iter().filter(during).count() <= 2
}

fn saw_it_hang(run: &Run) -> bool {
    let began = run.began[HANGING];
    let in_time = began..began + PATIENCE;
    openings(run, MODELS[0])
        .any(|it| matches!(it.cause(), Cause::Hung { .. }) && in_time.contains(&it.at()))
}
