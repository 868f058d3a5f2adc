//! Puts circuits under load with faults, aborts, panics and operators, and then checks every call.
//!
//! ```sh
//! cargo run --release --features http,replay --example soak -- --seconds 60
//! cargo run --release --features http,replay --example soak -- --help
//! ```
//!
//! Hundreds of clients call a real HTTP backend through nine circuits. The backend fails, hangs, breaks
//! connections, sends slowly, panics and restarts. Clients abort calls. Inner services, classifiers and listeners
//! panic, and operators act. Every call is followed from its admission to its end, and every half-open period is
//! compared with its own probes.
//!
//! The exit code is 0 if every check passed, 1 if one did not, and 2 if the arguments are wrong.

mod args;
mod backend;
mod call;
mod chaos;
mod clients;
mod dice;
mod findings;
mod ledger;
mod memory;
mod periods;
mod protected;
mod report;
mod settings;
mod stacks;
mod watch;

use std::fs::File;
use std::io::{self, BufWriter};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_breaker::State;
use tower_breaker::replay::Recorder;

use crate::args::Plan;
use crate::backend::{Backend, Fault};
use crate::clients::Scene;
use crate::dice::Dice;
use crate::ledger::{Ledger, Ledgers};
use crate::protected::Panics;
use crate::report::Run;
use crate::settings::LONGEST_WAIT;

/// How many calls are recorded.
const RECORDED: usize = 1000;
/// Extra time for a busy machine.
const SLACK: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let plan = match args::parse(std::env::args().skip(1)) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("error: {problem}\n\nTry `--help`.");
            return ExitCode::from(2);
        }
    };
    println!("{} clients, {:?} of faults, --seed {}\n", plan.clients, plan.length, plan.seed);
    let scene = Arc::new(Scene::default());
    match run(plan, &scene).await {
        Ok(run) => {
            report::table(&run);
            report::scene(&scene);
            if report::checks(&run) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: the soak could not run: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(plan: Plan, scene: &Arc<Scene>) -> io::Result<Run> {
    let numbered = stacks::NAMES.iter().enumerate();
    let ledger = |(number, &name)| Ledger::new(number, name, stacks::is_service(name));
    let ledgers = Ledgers(numbered.map(ledger).collect());
    let mut backend = Backend::new(ledgers.clone())?;
    backend.start()?;

    let (recorder, trace) = Recorder::new(RECORDED);
    let recorder = plan.record.is_some().then_some(recorder);
    let panics = Panics::default();
    panics.every(199);
    scene.wild.store(true, Ordering::Relaxed);
    let mut clients = JoinSet::new();
    let mut operators = JoinSet::new();
    for ledger in &*ledgers.0 {
        let caller = stacks::build(ledger, &panics, recorder.as_ref());
        for number in 0..plan.clients as usize / ledgers.0.len() {
            let dice = Dice::new(plan.seed, (ledger.name, number));
            let (scene, caller, ledger) = (scene.clone(), caller.clone(), ledger.clone());
            clients.spawn(clients::client(scene, caller, ledger, backend.uri(), dice));
        }
        let dice = Dice::new(plan.seed, (ledger.name, "operator"));
        operators.spawn(chaos::operator(scene.clone(), ledger.clone(), dice));
    }
    let auditor = tokio::spawn(audit(ledgers.clone()));

    let start = Instant::now();
    let dice = Dice::new(plan.seed, "faults");
    chaos::faults(&mut backend, start + plan.length / 3, dice).await?;
    let early = memory::resident();
    chaos::faults(&mut backend, start + plan.length, Dice::new(plan.seed, "later faults")).await?;
    let resident = early.zip(memory::resident());

    scene.wild.store(false, Ordering::Relaxed);
    operators.join_all().await;
    panics.every(0);
    backend.misbehave(Fault::None);
    let closed_after = closed_after(&ledgers).await;

    scene.over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    auditor.abort();
    ledgers.0.iter().for_each(|ledger| ledger.audit(true));
    if let Some(file) = plan.record {
        trace.write_csv(BufWriter::new(File::create(file)?))?;
    }
    Ok(Run { ledgers, closed_after, resident })
}

/// Judges periods as they end, so that the ledgers do not grow.
async fn audit(ledgers: Ledgers) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        ledgers.0.iter().for_each(|ledger| ledger.audit(false));
    }
}

/// Waits until all circuits have closed. Returns how long each of them took, or `None` if it was too late.
async fn closed_after(ledgers: &Ledgers) -> Vec<Option<Duration>> {
    let start = Instant::now();
    let mut closed_after = vec![None; ledgers.0.len()];
    let longest_probe = ledgers.0.iter().map(|ledger| ledger.longest_probe()).max();
    let longest = 2 * longest_probe.unwrap_or_default() + LONGEST_WAIT + SLACK;
    while start.elapsed() < longest {
        for (ledger, after) in ledgers.0.iter().zip(&mut closed_after) {
            if after.is_none() && ledger.breaker().state() == State::Closed {
                *after = Some(start.elapsed());
            }
        }
        if closed_after.iter().all(Option::is_some) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    closed_after
}
