//! A backend goes down in four different ways, and a circuit breaker deals with it: the example to
//! run first.
//!
//! ```sh
//! cargo run --example outage
//! cargo run --example outage -- --help
//! ```
//!
//! It starts axum backends on loopback ports and sends real HTTP/1 calls to them at a fixed rate,
//! through a bare client and through one that is protected by retry, circuit breaker and timeout.
//! What you would copy is in `client.rs`: the settings of the breaker and the order of the layers.
//!
//! It exits with 0 if the protected client did what it should, with 1 if not, and with 2 if the
//! arguments are wrong.

mod args;
mod backend;
mod checks;
mod client;
mod load;
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
