//! The command `replay`.

use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tower_breaker::Config;
use tower_breaker::replay::{Incident, Report};

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::page;
use crate::settings::{Format, SettingsFile};
use crate::text::{length, parse_duration, percent};
use crate::traffic::{Traffic, TrafficSource};

/// More problems than this are only counted.
const MOST_PROBLEMS: usize = 20;

/// Tells what the settings of a file would have done with a trace
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tower-breaker-tune replay settings.toml trace.csv
  tower-breaker-tune replay circuits.yaml trace.csv --circuit payments --html report.html
  tower-breaker-tune replay settings.toml trace.csv --json | jq .shed_good
  tower-breaker-tune replay settings.toml trace.csv --assert-opens-within 5s")]
pub(crate) struct Replay {
    #[command(flatten)]
    settings: SettingsFile,
    #[command(flatten)]
    traffic: TrafficSource,
    #[command(flatten)]
    assertions: Assertions,
    #[command(flatten)]
    output: Output,
}

/// What the settings have to achieve. The exit code is 1 if they do not.
#[derive(Debug, Args)]
#[command(next_help_heading = "Assertions")]
pub(crate) struct Assertions {
    /// Exit with 1 unless the circuit opens within this time of each incident
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    assert_opens_within: Option<Duration>,
    /// Exit with 1 unless the circuit is closed within this time of the end of each incident
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    assert_recovers_within: Option<Duration>,
    /// Exit with 1 if a larger share of the calls that would have succeeded is shed, from 0.0 to 1.0
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    assert_sheds_at_most: Option<f64>,
}

/// Parses a share, for an argument.
fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "allowed: 0.0 to 1.0".into())
}

impl Replay {
    pub(crate) fn run(self) -> Result<()> {
        let (settings, traffic) = (self.settings.read()?, self.traffic.read_required()?);
        replay(&settings, &traffic, &self.assertions, &self.output)
    }
}

/// The result as JSON: the report of the library, and what else there is to say.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    report: &'a Report,
    hints: &'a [String],
    settings: &'a Config,
}

/// Replays, shows what happened, and checks what was asserted.
pub(crate) fn replay(
    settings: &Config,
    traffic: &Traffic,
    assertions: &Assertions,
    output: &Output,
) -> Result<()> {
    let report = traffic.replay(settings).map_err(Failure::bad)?;
    let hints: Vec<String> =
        traffic.hints(settings).map_err(Failure::bad)?.iter().map(ToString::to_string).collect();
    let mut table = report.to_string();
    for hint in &hints {
        _ = writeln!(table, "hint: {hint}");
    }
    let json = Json { report: &report, hints: &hints, settings };
    output.show(&table, &json, || {
        let mut page = page::Page::new("What the settings would have done");
        page.replay(settings, &report, &traffic.calls(&report));
        page.text(&table);
        page.heading("The settings");
        page.text(&Format::Toml.text(settings));
        page.finish()
    })?;
    assertions.check(&report, &hints)
}

impl Assertions {
    fn check(&self, report: &Report, hints: &[String]) -> Result<()> {
        let is_asserted = self.assert_opens_within.or(self.assert_recovers_within).is_some();
        let mut problems = Vec::new();
        if is_asserted && report.incidents().is_empty() {
            problems.push("there is no incident in the traffic".into());
        }
        for incident in report.incidents() {
            problems.extend(self.opens_late(incident));
            problems.extend(self.recovers_late(incident));
        }
        if let Some(most) = self.assert_sheds_at_most {
            if report.shed_share() > most {
                problems.push(format!(
                    "{} of {} good calls were shed ({}), which is more than {}",
                    report.shed_good(),
                    report.shed_good() + report.sent_good(),
                    percent(report.shed_share()),
                    percent(most)
                ));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        let more = problems.len().saturating_sub(MOST_PROBLEMS);
        problems.truncate(MOST_PROBLEMS);
        if more > 0 {
            problems.push(format!("and {more} more"));
        }
        problems.extend(hints.iter().map(|hint| format!("hint: {hint}")));
        Err(Failure::Finding(problems.join("\n  ")))
    }

    fn opens_late(&self, incident: &Incident) -> Option<String> {
        let within = self.assert_opens_within?;
        let what = match incident.opened_after {
            Some(after) if after <= within => return None,
            Some(after) => format!("it opened after {}", length(after)),
            None => "it stayed closed".into(),
        };
        let problem = format!("did not open within {} of the incident", length(within));
        Some(finding(incident, &problem, &what))
    }

    fn recovers_late(&self, incident: &Incident) -> Option<String> {
        let within = self.assert_recovers_within?;
        incident.ended?;
        let what = match incident.recovered_after {
            Some(after) if after <= within => return None,
            Some(after) => format!("it closed after {}", length(after)),
            None => "it did not close".into(),
        };
        let problem =
            format!("was not closed within {} of the end of the incident", length(within));
        Some(finding(incident, &problem, &what))
    }
}

fn finding(incident: &Incident, problem: &str, what: &str) -> String {
    let Incident { key, began, .. } = incident;
    let circuit =
        if key.is_empty() { "the circuit".into() } else { format!("the circuit {key:?}") };
    format!("{circuit} {problem} at {}: {what}", length(*began))
}
