//! The command `scenario`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use tower_breaker::replay::Scenario;

use super::{KINDS, parse};
use crate::failure::Result;
use crate::output;
use crate::output::Output;
use crate::replay::{Assertions, replay};
use crate::settings::SettingsFile;
use crate::traffic::Traffic;

/// Lists made-up incidents, runs one, or writes one as a trace
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tower-breaker-tune scenario list
  tower-breaker-tune scenario run settings.toml black-hole,rate=10 --assert-opens-within 5s
  tower-breaker-tune scenario write brown-out,share=0.3,lasting=2m --output trace.csv")]
pub(crate) struct Scenarios {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the scenarios and their parameters
    List,
    /// Replays a scenario with the settings of a file
    Run(Run),
    /// Writes the calls of a scenario as a trace
    Write {
        #[arg(value_parser = parse)]
        scenario: Scenario,
        /// The file to write
        #[arg(short, long, value_name = "FILE", default_value = "-")]
        output: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    settings: SettingsFile,
    /// The scenario, such as black-hole,rate=10. `scenario list` lists them
    #[arg(value_parser = parse)]
    scenario: Scenario,
    #[command(flatten)]
    assertions: Assertions,
    #[command(flatten)]
    output: Output,
}

impl Scenarios {
    pub(crate) fn run(self) -> Result<()> {
        match self.action {
            Action::List => output::print(&list()),
            Action::Run(Run { settings, scenario, assertions, output }) => {
                replay(&settings.read()?, &Traffic::Scenario(scenario), &assertions, &output)
            }
            Action::Write { scenario, output } => {
                output::write(&output, |file| scenario.trace().write_csv(file))
            }
        }
    }
}

fn list() -> String {
    let mut text = String::new();
    for kind in &KINDS {
        _ = writeln!(text, "{:<21} {}", kind.name, kind.about);
    }
    text + "\n\
        All have rate=50 (calls per second), and how long the dependency is well before the incident, how long the\n\
        incident lasts and how long the dependency is well after it: before=1m, lasting=1m, after=3m.\n\
        Parameters follow the name: black-hole,rate=10,timeout=500ms\n"
}
