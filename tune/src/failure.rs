//! [`Failure`]: why the program ends without success.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::text::visible;

/// Of a longer line, only the beginning is printed.
const LONGEST_LINE: usize = 500;

/// Why the program ends without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An assertion does not hold: exit code 1.
    Finding(String),
    /// The arguments or a file are not what they should be, or something cannot be read or written: exit code 2.
    Bad(String),
    /// Nobody reads the output to its end, as in `| head`. This is no failure.
    NoReader,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn bad(problem: impl fmt::Display) -> Self {
        Self::Bad(problem.to_string())
    }

    /// Something is wrong with this file.
    pub(crate) fn in_file(file: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::Bad(format!("{file}: {problem}"))
    }

    pub(crate) fn writing(file: impl fmt::Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NoReader,
            _ => Self::in_file(file, format_args!("cannot be written: {error}")),
        }
    }

    /// Prints it to standard error, and returns the exit code.
    pub(crate) fn print(self) -> ExitCode {
        let (code, text) = match self {
            Self::Finding(text) => (ExitCode::from(1), text),
            Self::Bad(text) => (ExitCode::from(2), text),
            Self::NoReader => return ExitCode::SUCCESS,
        };
        note(format_args!("error: {text}"));
        code
    }
}

/// Prints text to standard error, if there is anybody who reads it. What is in it may come from a file: it does not move the
/// cursor of a terminal, and long lines are cut.
pub(crate) fn note(text: impl fmt::Display) {
    for line in text.to_string().lines() {
        let line: String = line.chars().take(LONGEST_LINE).map(visible).collect();
        _ = writeln!(io::stderr(), "{line}");
    }
}
