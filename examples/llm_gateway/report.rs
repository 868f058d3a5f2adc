//! Prints what happens, and what the callers saw.

use std::time::Duration;

use tokio::time::Instant;
use tower_breaker::Transition;

use crate::callers::{Answer, End};
use crate::gateway::{PATIENCE, SLOW};
use crate::{MODELS, PHASES, Phase, Run};

pub(crate) fn heading() {
    println!(
        "\
A gateway in front of three language models

Callers get their answers from north. If it does not send a first token within {}, the gateway asks
east, and then west. After the first token it stays with the model. Each model has a circuit, for which a
call is slow whose first token takes {}. A model whose circuit is open is not asked.
",
        milliseconds(PATIENCE),
        milliseconds(SLOW),
    );
}

pub(crate) fn phase(start: Instant, phase: &Phase) {
    println!("{}  -- {} --", seconds(start.elapsed()), phase.name);
}

pub(crate) fn transition(start: Instant, transition: &Transition) {
    let at = seconds(start.elapsed());
    let (from, to, cause) = (transition.from(), transition.to(), transition.cause());
    println!("{at}    {:<5} {from} -> {to} ({cause})", transition.breaker());
}

/// Prints a table with a row for each phase.
pub(crate) fn table(run: &Run) {
    let [first, second, third] = MODELS;
    println!(
        "
                                   | answered by           | broke |         | until the first token
phase                        calls | {first:>7}{second:>7}{third:>7} |   off | refused |   median  longest
-----------------------------------+-----------------------+-------+---------+----------------------"
    );
    for (number, phase) in PHASES.iter().enumerate() {
        let answers: Vec<_> = run.answers_in(number).collect();
        let by = |model| answers.iter().filter(|it| it.model() == Some(model)).count();
        let ended = |end| answers.iter().filter(|it| it.end == end).count();
        let waits = waits(answers.iter().copied());
        println!(
            "{:<28}{:>6} | {:>7}{:>7}{:>7} | {:>5} | {:>7} | {:>8} {:>8}",
            phase.name,
            answers.len(),
            by(0),
            by(1),
            by(2),
            ended(End::BrokeOff),
            ended(End::Refused),
            milliseconds(waits.get(waits.len() / 2).copied().unwrap_or_default()),
            milliseconds(waits.last().copied().unwrap_or_default()),
        );
    }
    println!("\n{} checks asked models whose circuits were not closed.", run.checks);
}

/// Returns how long callers waited, the shortest time first.
pub(crate) fn waits<'a>(answers: impl Iterator<Item = &'a Answer>) -> Vec<Duration> {
    let mut waits: Vec<_> = answers.map(|answer| answer.waited).collect();
    waits.sort();
    waits
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn seconds(time: Duration) -> String {
    format!("{:>6.2} s", time.as_secs_f64())
}
