//! Tells what settings of `tower-breaker` would have done with your traffic, and finds better ones.
//!
//! `cli.rs` lists the commands. Each has a module of its own with its arguments and a function `run`. What they share:
//!
//! | module | what it does |
//! |---|---|
//! | `settings` | reads and writes files of settings |
//! | `traffic` | what is replayed: a trace or a scenario |
//! | `scenario` | scenarios by name |
//! | `page` | the page with the pictures |
//! | `output` | writes to files and to standard output |
//! | `failure` | why the program ends without success |

mod cli;
mod convert;
mod explain;
mod failure;
mod output;
mod page;
mod replay;
mod scenario;
mod settings;
mod sweep;
mod text;
mod traffic;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.print(),
    }
}
