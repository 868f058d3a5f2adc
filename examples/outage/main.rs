//! A backend fails in four different ways and comes back cold, with and without a circuit breaker. Run this
//! example first.
//!
//! ```sh
//! cargo run --example outage
//! cargo run --example outage -- --help
//! ```
//!
//! It starts axum backends on loopback ports and sends real HTTP/1 calls to them at a fixed rate. One client
//! is bare, and another one is protected by a retry, a circuit breaker and a timeout. A third one, which is
//! shown only at the end, has a breaker without `hung_after` and without a ramp. The part to copy is
//! `client.rs`, which has the settings of the breaker and the order of the layers.
//!
//! The exit code is 0 if the protected client behaved as expected, 1 if it did not, and 2 if the arguments
//! are wrong.

mod args;
mod backend;
mod checks;
mod client;
mod cold;
mod load;
#[cfg(feature = "replay")]
mod record;
mod report;
mod run;
mod terminal;

use std::process::ExitCode;

use crate::terminal::Terminal;

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
    let terminal = Terminal::new();
    report::heading(terminal, &plan);
    match run::run(terminal, plan).await {
        Ok(run) => {
            report::table(terminal, &run);
            report::circuit(terminal, &run);
            report::two_settings(terminal, &run);
            let passed = checks::print(terminal, &run);
            report::goodbye(terminal);
            if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: the demonstration could not run: {error}");
            ExitCode::FAILURE
        }
    }
}
