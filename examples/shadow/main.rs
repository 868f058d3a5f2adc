//! A circuit breaker is introduced step by step: in shadow mode, for a quarter of the rejections, for all of them.
//! Then one of its settings changes, while the service runs.
//!
//! ```sh
//! cargo run --example shadow --features http,serde
//! ```
//!
//! A service calls an axum server on a loopback port, which is overloaded now and then. The example shows three
//! minutes of that in fifteen seconds. The parts to copy are `settings.rs`, which follows a settings file, and
//! `ledger.rs`, a listener that counts what the breaker would have done. `docs::introducing` is the guide.
//!
//! The exit code is 0 if everything went as expected, and 1 if it did not.

mod checks;
mod clock;
mod dependency;
mod ledger;
mod load;
mod report;
mod run;
mod settings;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    report::heading();
    match run::run().await {
        Ok(run) => {
            report::stages(&run);
            report::openings(&run);
            report::conclusions(&run);
            if checks::print(&run) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: the demonstration could not run: {error}");
            ExitCode::FAILURE
        }
    }
}
