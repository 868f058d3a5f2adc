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
use crate::replay::parse_share;
use crate::settings::{Format, SettingsFile};
use crate::text::percent;
use crate::traffic::{Traffic, TrafficSource};

/// Tries all combinations of settings on the same traffic, and chooses one
///
/// The chosen settings are those that open soonest, on average over the incidents, of those that shed at most a share of the
/// calls that would have succeeded. An incident in which the circuit does not open counts with its whole length. If all
/// settings shed more than that, those that shed least are chosen.
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
    /// The share of the good calls that may be shed, from 0.0 to 1.0
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = parse_share)]
    shed_at_most: f64,
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
        let ranking = sweep(&base, &combinations, &traffic, self.shed_at_most)?;
        let result = show::Sweep { ranking, combinations, traffic: &traffic, top: self.top };
        if let (Some(file), Some(format)) = (&self.write, format) {
            let text = format.text(&result.ranking.chosen().config);
            output::write(file, |out| out.write_all(text.as_bytes()))?;
        }
        result.show(&self.output)
    }
}

/// Tries all settings. The incidents are those that the replay with the base settings has, so that they are the same for all.
fn sweep(
    base: &Config,
    combinations: &Combinations,
    traffic: &Traffic,
    shed_at_most: f64,
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
    let rule = format!(
        "the one that opens soonest of those that shed at most {} of the good calls",
        percent(shed_at_most)
    );
    Ok(Ranking::new(tried, shed_at_most, rule))
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
