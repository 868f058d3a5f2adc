//! The command `explain`.

mod idle;
mod sentences;

use std::fmt::Write;

use clap::Args;
use serde_json::{Map, Value};
use tower_breaker::Config;

use crate::failure::{Failure, Result};
use crate::output;
use crate::settings::SettingsFile;
use crate::traffic::TrafficSource;

/// Says in sentences what settings do, and what in them can never matter
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tower-breaker-tune explain settings.toml
  tower-breaker-tune explain settings.toml trace.csv
  tower-breaker-tune explain settings.toml --scenario one-request-a-minute")]
pub(crate) struct Explain {
    #[command(flatten)]
    settings: SettingsFile,
    #[command(flatten)]
    traffic: TrafficSource,
}

impl Explain {
    pub(crate) fn run(self) -> Result<()> {
        let config = self.settings.read()?;
        let settings = Settings::new(&config)?;
        let mut text = String::new();
        for sentence in sentences::all(&settings) {
            _ = writeln!(text, "{sentence}");
        }
        let mut problems = idle::all(&settings);
        let traffic = self.traffic.read()?;
        if let Some(traffic) = &traffic {
            let hints = traffic.hints(&config).map_err(Failure::bad)?;
            problems.extend(hints.iter().map(ToString::to_string));
        }
        if !problems.is_empty() {
            text += "\nWhat does not matter, or does not fit:\n";
        } else if traffic.is_some() {
            text += "\nEvery setting can matter in this traffic.\n";
        }
        for problem in problems {
            _ = writeln!(text, "  {problem}");
        }
        output::print(&text)
    }
}

/// All settings with their defaults, by name.
struct Settings {
    all: Map<String, Value>,
    /// Those that the file contains.
    given: Map<String, Value>,
}

impl Settings {
    fn new(config: &Config) -> Result<Self> {
        let breaker = config.build("").map_err(Failure::bad)?;
        let map = |config: &Config| match serde_json::to_value(config) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        Ok(Self { all: map(&Config::of(&breaker)), given: map(config) })
    }

    /// Returns the value of a setting, or of a part of one: `open_duration.max`.
    fn get(&self, name: &str) -> Option<&Value> {
        let mut parts = name.split('.');
        let first = self.all.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    fn share(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    /// A duration as it is written in the file.
    fn time(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }
}
