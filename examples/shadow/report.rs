//! Prints the results.

use std::fmt::Display;
use std::time::Duration;

use tower::BoxError;
use tower_breaker::Transition;

use crate::clock::{At, SPEED, lengthened};
use crate::dependency::Mode;
use crate::run::{ALL, OTHER_THRESHOLD, Run, SHADOW, STAGES};

pub(crate) fn heading() {
    println!(
        "\
Introducing a circuit breaker

A service calls a dependency that is overloaded for a while, and later has a broken instance. It goes
through this four times. At first the breaker is in shadow mode. Then it rejects a quarter of the calls
that the circuit turns away, and then all of them. At last, one of its settings is changed in a file.
Time runs {SPEED} times as fast, so three minutes take fifteen seconds.
"
    );
}

pub(crate) fn line(at: At, what: impl Display) {
    println!("{at:>5}    {what}");
}

pub(crate) fn stage(at: At, name: &str) {
    println!("{at:>5}  -- {name} --");
}

pub(crate) fn weather(at: At, mode: Mode) {
    let what = match mode {
        Mode::Healthy => "is healthy",
        Mode::Overloaded => "is overloaded: it answers 503 after three seconds",
        Mode::Flaky => "has a broken instance: every third answer is a 500",
    };
    println!("{at:>5}  the dependency {what}");
}

pub(crate) fn transition(at: At, transition: &Transition) {
    let wait = match transition.open_duration() {
        Some(wait) => format!("; next probe in {}", seconds(lengthened(wait))),
        None => String::new(),
    };
    let (from, to, cause) = (transition.from(), transition.to(), transition.cause());
    line(at, format_args!("circuit {from} -> {to} ({cause}){wait}"));
}

pub(crate) fn mistake(at: At, error: &BoxError) {
    line(at, "settings file not taken over, the circuit keeps its settings:");
    for text in error.to_string().lines() {
        println!("{:>5}      {text}", "");
    }
}

/// Prints a table with a row for each stage.
pub(crate) fn stages(run: &Run) {
    println!(
        "
                              | admitted            | would be rejected   |          |  waited
stage                   calls | succeeded    failed | succeeded    failed | rejected | in vain
------------------------------+---------------------+---------------------+----------+--------"
    );
    for (name, counts) in STAGES.iter().zip(&run.pages.stages) {
        println!(
            "{name:<21}{:>8} | {:>9}{:>10} | {:>9}{:>10} | {:>8} | {:>7}",
            counts.calls(),
            counts.admitted.succeeded,
            counts.admitted.failed,
            counts.shadow.succeeded,
            counts.shadow.failed,
            counts.rejected,
            seconds(counts.in_vain()),
        );
    }
    println!(
        "
would be rejected: calls that the circuit turned away and that were made all the same. Those that failed
are what a breaker is for. Those that succeeded are the harm that it would have done.
waited in vain: the time that callers spent on calls that failed."
    );
}

/// Prints a table with a row for each time that the circuit opened.
pub(crate) fn openings(run: &Run) {
    println!(
        "
                                                         | would be rejected   |
opened at  stage                 because                 | succeeded    failed | rejected
---------------------------------------------------------+---------------------+---------"
    );
    for opening in &run.pages.openings {
        println!(
            "{:>9}  {:<20}  {:<23} | {:>9}{:>10} | {:>8}",
            opening.at,
            STAGES[opening.stage],
            opening.cause.to_string(),
            opening.shadow.succeeded,
            opening.shadow.failed,
            opening.rejected,
        );
    }
}

pub(crate) fn conclusions(run: &Run) {
    let stages = &run.pages.stages;
    let openings = |stage| run.pages.openings.iter().filter(move |opening| opening.stage == stage);
    let shadow = stages[SHADOW].shadow;
    println!(
        "
What the numbers say
* In shadow mode, the breaker would have rejected {} of {} calls. {} of them failed, after {} of
  waiting. That is what it would have spared the callers. {} succeeded. That is what it would have cost.",
        shadow.all(),
        stages[SHADOW].calls(),
        shadow.failed,
        seconds(shadow.in_vain),
        shadow.succeeded,
    );
    for opening in
        openings(SHADOW).filter(|opening| opening.shadow.succeeded > opening.shadow.failed)
    {
        println!(
            "* The opening at {} would have done more harm than good: {} calls succeeded, and {} failed.",
            opening.at, opening.shadow.succeeded, opening.shadow.failed,
        );
    }
    println!(
        "\
* Enforced, callers waited {} in vain for the same trouble, instead of {}.
* With the other threshold, the circuit opened {} instead of {}, and {} calls were rejected
  instead of {}. It opened later, so callers waited {} in vain.",
        seconds(stages[ALL].in_vain()),
        seconds(stages[SHADOW].in_vain()),
        times(openings(OTHER_THRESHOLD).count()),
        times(openings(ALL).count()),
        stages[OTHER_THRESHOLD].rejected,
        stages[ALL].rejected,
        seconds(stages[OTHER_THRESHOLD].in_vain()),
    );
}

fn times(n: usize) -> String {
    match n {
        1 => "once".into(),
        2 => "twice".into(),
        n => format!("{n} times"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64())
}
