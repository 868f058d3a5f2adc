//! A gateway in front of three language models, which answer with server-sent events. If one does not send a first
//! token in time, the gateway asks the next one. After the first token it never does.
//!
//! ```sh
//! cargo run --example llm_gateway --features http
//! ```
//!
//! The gateway and the models are axum servers on loopback ports. In fifteen seconds, one model stalls after its head,
//! one is slow to the first token, one asks for a pause with `Retry-After`, one breaks off in the middle of its
//! answers, and one does not answer at all. The part to copy is `gateway.rs`.
//!
//! The exit code is 0 if everything went as expected, and 1 if it did not.

mod callers;
mod checks;
mod gateway;
mod model;
mod report;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tower::BoxError;
use tower_breaker::{State, Transition};

use crate::callers::Answer;
use crate::gateway::Gateway;
use crate::model::{Mode, Model};

/// The models, in the order in which the gateway asks them.
const MODELS: [&str; 3] = ["north", "east", "west"];

/// Between two callers.
const INTERVAL: Duration = Duration::from_millis(40);

struct Phase {
    name: &'static str,
    modes: [Mode; 3],
    milliseconds: u64,
}

const fn phase(name: &'static str, modes: [Mode; 3], milliseconds: u64) -> Phase {
    Phase { name, modes, milliseconds }
}

const STALLED: usize = 1;
const HANGING: usize = 7;
const PHASES: [Phase; 9] = [
    phase("all are well", [Mode::Well; 3], 600),
    phase("north stalls, east is slow", [Mode::Stalled, Mode::Slow, Mode::Well], 4000),
    phase("all are well", [Mode::Well; 3], 1500),
    phase("north asks for a pause", [Mode::Busy, Mode::Well, Mode::Well], 900),
    phase("all are well", [Mode::Well; 3], 1500),
    phase("north breaks off", [Mode::BreaksOff, Mode::Well, Mode::Well], 700),
    phase("all are well", [Mode::Well; 3], 1500),
    phase("north does not answer", [Mode::Hanging, Mode::Well, Mode::Well], 2000),
    phase("all are well", [Mode::Well; 3], 1800),
];

/// What happened.
struct Run {
    /// When each phase began.
    began: Vec<Instant>,
    answers: Vec<Answer>,
    transitions: Vec<Transition>,
    /// When each model was asked, by callers and by checks.
    asked: Vec<Vec<Instant>>,
    checks: usize,
    last_states: Vec<State>,
}

impl Run {
    /// Returns the number of the phase.
    fn phase_at(&self, at: Instant) -> usize {
        self.began.partition_point(|began| *began <= at).saturating_sub(1)
    }

    fn answers_in(&self, phase: usize) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(move |answer| self.phase_at(answer.asked) == phase)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    report::heading();
    match run().await {
        Ok(run) => {
            report::table(&run);
            if checks::print(&run) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: the demonstration could not run: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Run, BoxError> {
    let start = Instant::now();
    let transitions = Arc::new(Mutex::new(Vec::new()));
    let on_transition = {
        let transitions = transitions.clone();
        move |transition: &Transition| {
            report::transition(start, transition);
            transitions.lock().expect("nobody panics with the lock").push(transition.clone());
        }
    };

    let mut models = Vec::new();
    for name in MODELS {
        models.push(Model::start(name).await?);
    }
    let gateway = Gateway::new(&models, on_transition)?;
    let uri = gateway.clone().start().await?;

    let http_client = gateway::http_client();
    let mut callers = Vec::new();
    let mut began = Vec::new();
    let mut next = Instant::now();
    for phase in &PHASES {
        for (model, mode) in models.iter().zip(phase.modes) {
            model.enter(mode);
        }
        began.push(Instant::now());
        report::phase(start, phase);
        let end = Instant::now() + Duration::from_millis(phase.milliseconds);
        while next < end {
            sleep_until(next).await;
            callers.push(tokio::spawn(callers::call(http_client.clone(), uri.clone())));
            next += INTERVAL;
        }
    }

    let mut answers = Vec::new();
    for caller in callers {
        answers.push(caller.await??);
    }
    let transitions = transitions.lock().expect("nobody panics with the lock").clone();
    Ok(Run {
        began,
        answers,
        transitions,
        asked: models.iter().map(Model::asked).collect(),
        checks: gateway.checks(),
        last_states: gateway.states(),
    })
}
