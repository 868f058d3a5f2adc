//! [`Traffic`]: what is replayed.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use tower_breaker::replay::{self, Call, Hint, Report, Scenario, Trace};
use tower_breaker::{Config, ConfigError};

use crate::failure::{Failure, Result};
use crate::{output, scenario};

/// Where the traffic comes from.
#[derive(Debug, Args)]
pub(crate) struct TrafficSource {
    /// The trace to replay, as CSV
    #[arg(value_name = "TRACE")]
    trace: Option<PathBuf>,
    /// A made-up incident instead of a trace, such as black-hole,rate=10. `scenario list` lists them
    #[arg(long, value_parser = scenario::parse, conflicts_with = "trace")]
    scenario: Option<Scenario>,
    /// Only the calls of this key: of one circuit
    #[arg(long, conflicts_with = "scenario")]
    key: Option<String>,
}

impl TrafficSource {
    /// Reads the traffic, if there is any.
    pub(crate) fn read(&self) -> Result<Option<Traffic>> {
        if let Some(scenario) = &self.scenario {
            return Ok(Some(Traffic::Scenario(scenario.clone())));
        }
        let Some(file) = &self.trace else { return Ok(None) };
        let in_file = |problem: String| Failure::in_file(output::name(file), problem);
        let trace = Trace::read_csv(open(file)?).map_err(|error| in_file(with_source(&error)))?;
        let trace = match &self.key {
            None => trace,
            Some(key) => trace.calls().iter().filter(|call| *call.key == **key).cloned().collect(),
        };
        if trace.calls().is_empty() {
            let of_key =
                self.key.as_ref().map_or(String::new(), |key| format!(" with the key {key:?}"));
            return Err(in_file(format!("has no calls{of_key}")));
        }
        Ok(Some(Traffic::Trace(trace)))
    }

    pub(crate) fn read_required(&self) -> Result<Traffic> {
        let needed = "a trace is needed, or a scenario such as `--scenario black-hole`";
        self.read()?.ok_or_else(|| Failure::bad(needed))
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or(error.to_string(), |source| format!("{error}: {source}"))
}

/// Opens a file, or standard input if it is called `-`.
pub(crate) fn open(file: &Path) -> Result<Box<dyn BufRead>> {
    if output::is_standard(file) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file);
    let cannot =
        |error| Failure::in_file(output::name(file), format_args!("cannot be read: {error}"));
    Ok(Box::new(BufReader::new(opened.map_err(cannot)?)))
}

/// What is replayed.
pub(crate) enum Traffic {
    Trace(Trace),
    Scenario(Scenario),
}

impl Traffic {
    pub(crate) fn replay(&self, settings: &Config) -> Result<Report, ConfigError> {
        match self {
            Self::Trace(trace) => replay::run(&settings.builder(""), trace),
            Self::Scenario(scenario) => replay::run(&settings.builder(""), scenario),
        }
    }

    pub(crate) fn hints(&self, settings: &Config) -> Result<Vec<Hint>, ConfigError> {
        match self {
            Self::Trace(trace) => replay::hints(&settings.builder(""), trace),
            Self::Scenario(scenario) => replay::hints(&settings.builder(""), scenario),
        }
    }

    /// Returns the calls as they ended in this replay.
    pub(crate) fn calls<'a>(&'a self, report: &'a Report) -> Cow<'a, [Call]> {
        match (self, report.met()) {
            (_, Some(met)) => met.into(),
            (Self::Trace(trace), None) => trace.calls(),
            (Self::Scenario(scenario), None) => scenario.trace().calls().into_owned().into(),
        }
    }
}
