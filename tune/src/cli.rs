//! The commands.

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::failure::{Failure, Result};
use crate::{convert, explain, output, replay, scenario, sweep};

/// Tells what settings of tower-breaker would have done with your traffic, and finds better ones
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
A file called `-` is standard input or output.

Exit codes:
  0  success
  1  an assertion such as `--assert-opens-within 5s` does not hold
  2  the arguments or a file are not what they should be

Example:
  tower-breaker-tune convert --format nginx access.log --output trace.csv
  tower-breaker-tune sweep settings.toml trace.csv --vary minimum_calls=5,10,20,50 --html report.html";

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::Replay),
    Sweep(sweep::Sweep),
    Scenario(scenario::command::Scenarios),
    Explain(explain::Explain),
    Convert(convert::Convert),
    /// Prints completions for a shell
    #[command(after_help = "Example:\n  tower-breaker-tune completions bash > \
        ~/.local/share/bash-completion/completions/tower-breaker-tune")]
    Completions {
        shell: Shell,
    },
    /// Prints the manual page of a command, or of the program
    #[command(after_help = "Example:\n  tower-breaker-tune man > tower-breaker-tune.1\n  \
        tower-breaker-tune man scenario run > tower-breaker-tune-scenario-run.1")]
    Man {
        command: Vec<String>,
    },
}

impl Cli {
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            Command::Replay(command) => command.run(),
            Command::Sweep(command) => command.run(),
            Command::Scenario(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Convert(command) => command.run(),
            Command::Completions { shell } => completions(shell),
            Command::Man { command } => man(&command),
        }
    }
}

fn completions(shell: Shell) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tower-breaker-tune", &mut text);
    output::print(&String::from_utf8_lossy(&text))
}

fn man(command: &[String]) -> Result<()> {
    let mut page = Cli::command();
    page.build();
    for name in command {
        let names: Vec<&str> = page.get_subcommands().map(|it| it.get_name()).collect();
        let unknown = format!("there is no command `{name}` (there are: {})", names.join(", "));
        page = page.find_subcommand(name).cloned().ok_or(Failure::Bad(unknown))?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(Failure::bad)?;
    output::print(&String::from_utf8_lossy(&text))
}
