//! The command `sweep`.

mod rank;
mod show;
mod vary;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use tower_breaker::Config;

use self::rank::{Ranking, Tried};
use self::vary::{Combinations, Vary};
use crate::failure::{Failure, Result};
use crate::output::{self, Output};
use crate::settings::{Format, SettingsFile};
use crate::traffic::{Traffic, TrafficSource};

/// Tries all combinations of settings on the same traffic, and chooses one
///
/// Two numbers say how good settings are: the time from the beginning of an incident to open, on average over the incidents, and
/// how many calls are shed that would have succeeded. An incident in which the circuit does not open counts with its whole length.
/// Settings are on the Pareto front if no other settings are better in one of the two and not worse in the other. Of these, the
/// chosen ones have the smallest sum of the calls that are sent and fail, and the good calls that are shed. Of equal ones, those
/// with the values that come first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tower-breaker-tune sweep settings.toml trace.csv --vary failure_rate_threshold=0.2,0.3,0.5
  tower-breaker-tune sweep settings.toml trace.csv --vary minimum_calls=5..=50/5 \\
      --vary sliding_window.time=10s..=60s/10s --vary consecutive_failures=none,3,5 \\
      --html report.html --write tuned.toml
  tower-breaker-tune sweep settings.toml --scenario black-hole --ranges ranges.toml

A file of ranges:
  failure_rate_threshold = [0.2, 0.3, 0.5]
  minimum_calls = \"5..=50/5\"
  open_duration.initial = [\"1s\", \"5s\"]

RAYON_NUM_THREADS sets the number of threads. By default, all cores are used.")]
pub(crate) struct Sweep {
    #[command(flatten)]
    settings: SettingsFile,
    #[command(flatten)]
    traffic: TrafficSource,
    /// A setting and the values to try: a list, or a range with a step, or `none` to leave it out
    #[arg(long, value_name = "SETTING=VALUES", value_parser = Vary::parse)]
    vary: Vec<Vary>,
    /// A TOML file with settings and the values to try
    #[arg(long, value_name = "FILE")]
    ranges: Option<PathBuf>,
    /// How many failed calls a good call that is shed is worth
    #[arg(long, value_name = "CALLS", default_value_t = 1.0, value_parser = parse_cost)]
    shed_costs: f64,
    /// How many settings the table has
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Write the chosen settings to this file: .toml, .yaml, .yml or .json
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Sweep {
    pub(crate) fn run(self) -> Result<()> {
        let base = self.settings.read()?;
        let mut vary = self.vary;
        if let Some(file) = &self.ranges {
            vary.extend(Vary::read(file)?);
        }
        let format = self.write.as_deref().map(Format::of).transpose()?;
        let combinations = Combinations::new(&base, vary)?;
        let traffic = self.traffic.read_required()?;
        let ranking = sweep(&base, &combinations, &traffic, self.shed_costs)?;
        let result = show::Sweep { ranking, combinations, traffic: &traffic, top: self.top };
        if let (Some(file), Some(format)) = (&self.write, format) {
            let text = format.text(&result.ranking.chosen().config);
            output::write(file, |out| out.write_all(text.as_bytes()))?;
            if output::is_standard(file) {
                return Ok(());
            }
        }
        result.show(&self.output)
    }
}

/// Tries all settings. The incidents are those that the replay with the base settings has, so that they are the same for all.
fn sweep(
    base: &Config,
    combinations: &Combinations,
    traffic: &Traffic,
    shed_costs: f64,
) -> Result<Ranking> {
    let base = traffic.replay(base).map_err(Failure::bad)?;
    let progress = progress_bar(combinations.valid.len());
    let tried = combinations.valid.par_iter().enumerate().map(|(number, (values, config))| {
        let report = traffic.replay(config)?;
        progress.inc(1);
        Ok(Tried::new(number, values.clone(), config.clone(), &base, &report))
    });
    let tried: Vec<Tried> =
        tried.collect::<Result<_, tower_breaker::ConfigError>>().map_err(Failure::bad)?;
    progress.finish_and_clear();
    Ok(Ranking::new(tried, shed_costs))
}

fn parse_cost(text: &str) -> Result<f64, String> {
    let cost = text.parse().ok().filter(|cost| (0.0..=1e6).contains(cost));
    cost.ok_or_else(|| "allowed: 0 to 1000000".into())
}

/// A bar on standard error, if that is a terminal.
fn progress_bar(length: usize) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} settings, {eta} left");
    ProgressBar::with_draw_target(Some(length as u64), target)
        .with_style(style.expect("the template is valid"))
}
