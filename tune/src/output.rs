//! Writes to files and to standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::failure::{Failure, Result};

/// How a result is shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Print JSON instead of a table. Times are in seconds
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a page with pictures to this file. It needs no network, and is readable on a telephone
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl Output {
    /// Shows the result in the form that is asked for. `html` is called if a page is.
    pub(crate) fn show<T: Serialize>(
        &self,
        table: &str,
        json: &T,
        html: impl FnOnce() -> String,
    ) -> Result<()> {
        if let Some(file) = &self.html {
            write(file, |out| out.write_all(html().as_bytes()))?;
            if is_standard(file) {
                return Ok(());
            }
        }
        if self.json { print(&as_json(json)) } else { print(table) }
    }
}

/// JSON for people and programs, with a line break at its end.
pub(crate) fn as_json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    text.expect("keys are strings, and nothing fails to serialize") + "\n"
}

/// Prints to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    write(Path::new("-"), |out| out.write_all(text.as_bytes()))
}

/// Writes a file, or to standard output if it is called `-`.
pub(crate) fn write(
    file: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let result = if is_standard(file) {
        let mut out = BufWriter::new(io::stdout().lock());
        content(&mut out).and_then(|()| out.flush())
    } else {
        File::create(file).map(BufWriter::new).and_then(|mut out| {
            content(&mut out)?;
            out.flush()
        })
    };
    result.map_err(|error| Failure::writing(name(file), &error))
}

/// Whether the file is standard input or output.
pub(crate) fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}

/// What a file is called in messages.
pub(crate) fn name(file: &Path) -> String {
    if is_standard(file) { "standard input or output".into() } else { file.display().to_string() }
}
