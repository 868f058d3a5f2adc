//! Settings that a running service takes from a file. Copy from this file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tower::BoxError;
use tower_breaker::{CircuitBreaker, Config, Reconfigured};

/// All circuits of the service. Every table is required, so that a file that is still empty is an error instead of
/// the defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Circuits {
    stock: Config,
}

/// Reads the settings of the circuit.
pub(crate) fn parse(text: &str) -> Result<Config, BoxError> {
    let circuits: Circuits = toml::from_str(text)?;
    Ok(circuits.stock)
}

/// Reads the file again and again, for ever, and gives the circuit its settings when its text has changed. `report`
/// learns what came of it. The circuit keeps its settings if the file cannot be read or has a mistake.
///
/// The path is read each time, so it does not matter how the file is replaced: in place, by renaming another file, or
/// by changing a link in the path.
pub(crate) async fn follow(
    path: PathBuf,
    every: Duration,
    mut text: Result<String, String>,
    breaker: CircuitBreaker,
    report: impl Fn(Result<Reconfigured, BoxError>),
) {
    loop {
        tokio::time::sleep(every).await;
        let latest = tokio::fs::read_to_string(&path).await.map_err(|error| error.to_string());
        // A text with a mistake is remembered as well, so that the mistake is reported once.
        if latest != text {
            text = latest;
            report(take_over(&text, &breaker));
        }
    }
}

fn take_over(
    text: &Result<String, String>,
    breaker: &CircuitBreaker,
) -> Result<Reconfigured, BoxError> {
    let config = parse(text.as_ref().map_err(String::as_str)?)?;
    Ok(config.reconfigure(breaker)?)
}

/// The file that the operator edits. It is removed when this is dropped.
pub(crate) struct SettingsFile(PathBuf);

impl SettingsFile {
    pub(crate) fn new(text: &str) -> std::io::Result<Self> {
        let name = format!("tower-breaker-shadow-{}.toml", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(text)?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Replaces the file by renaming another one, so that nobody reads half of it.
    pub(crate) fn write(&self, text: &str) -> std::io::Result<()> {
        let draft = self.0.with_extension("draft");
        std::fs::write(&draft, text)?;
        std::fs::rename(&draft, &self.0)
    }
}

impl Drop for SettingsFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
