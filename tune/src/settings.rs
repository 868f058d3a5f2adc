//! Files of settings: TOML, YAML and JSON.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::{DeserializeOwned, IgnoredAny};
use tower_breaker::Config;

use crate::failure::{Failure, Result};
use crate::output;

/// A larger file is an error, because it is hardly one of settings. Reading nested YAML takes a time that grows with the square
/// of its length.
const LARGEST_FILE: u64 = 64 << 10;

/// Whose settings are tried.
#[derive(Debug, Args)]
pub(crate) struct SettingsFile {
    /// The file of settings: .toml, .yaml, .yml or .json
    #[arg(value_name = "SETTINGS")]
    pub(crate) settings: PathBuf,
    /// The table with the settings, in a file that has several
    #[arg(long, value_name = "NAME")]
    circuit: Option<String>,
}

impl SettingsFile {
    /// Reads the settings.
    pub(crate) fn read(&self) -> Result<Config> {
        let format = Format::of(&self.settings)?;
        let text = read_text(&self.settings)?;
        let in_file = |problem| Failure::in_file(output::name(&self.settings), problem);
        if self.circuit.is_none() && !has_several(format, &text) {
            return format.parse(&text).map_err(in_file);
        }
        let all: BTreeMap<String, Config> = format.parse(&text).map_err(in_file)?;
        choose(all, self.circuit.as_deref()).map_err(in_file)
    }
}

/// Whether the file has a table of settings for each of several circuits, rather than settings.
fn has_several(format: Format, text: &str) -> bool {
    const TABLES_OF_SETTINGS: [&str; 3] = ["sliding_window", "open_duration", "half_open"];
    let tables: Result<BTreeMap<String, BTreeMap<String, IgnoredAny>>, _> = format.parse(text);
    tables.is_ok_and(|tables| {
        !tables.is_empty() && TABLES_OF_SETTINGS.iter().all(|name| !tables.contains_key(*name))
    })
}

fn choose(mut all: BTreeMap<String, Config>, circuit: Option<&str>) -> Result<Config, String> {
    let names = all.keys().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    match circuit {
        Some(circuit) => all
            .remove(circuit)
            .ok_or_else(|| format!("has no table {circuit:?} (there are: {names})")),
        None if all.len() == 1 => Ok(all.into_values().next().unwrap_or_default()),
        None => {
            Err(format!("has settings for several circuits: choose one by `--circuit` ({names})"))
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Toml,
    Yaml,
    Json,
}

impl Format {
    /// Returns the format that the extension names. Standard input and output are TOML.
    pub(crate) fn of(file: &Path) -> Result<Self> {
        if output::is_standard(file) {
            return Ok(Self::Toml);
        }
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(Self::Toml),
            Some("yaml" | "yml") => Ok(Self::Yaml),
            Some("json") => Ok(Self::Json),
            _ => Err(Failure::in_file(
                output::name(file),
                "a file of settings is called .toml, .yaml, .yml or .json",
            )),
        }
    }

    /// The error names the line and the column.
    pub(crate) fn parse<T: DeserializeOwned>(self, text: &str) -> Result<T, String> {
        match self {
            Self::Toml => toml::from_str(text).map_err(|error| error.to_string().trim_end().into()),
            Self::Yaml => serde_norway::from_str(text).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
        }
    }

    pub(crate) fn text(self, settings: &Config) -> String {
        match self {
            Self::Toml => toml::to_string(settings).expect("settings fit into TOML"),
            Self::Yaml => serde_norway::to_string(settings).expect("settings fit into YAML"),
            Self::Json => output::as_json(settings),
        }
    }
}

/// Reads a small file.
pub(crate) fn read_text(file: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = if output::is_standard(file) {
        io::stdin().take(LARGEST_FILE + 1).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|it| it.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
    };
    let in_file = |problem: String| Failure::in_file(output::name(file), problem);
    let read = read.map_err(|error| in_file(format!("cannot be read: {error}")))?;
    if read as u64 > LARGEST_FILE {
        return Err(in_file("is larger than 64 KiB".into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column =
            valid.len() - valid.iter().rposition(|byte| *byte == b'\n').map_or(0, |it| it + 1) + 1;
        in_file(format!("line {line}, column {column}: is not UTF-8"))
    })
}
