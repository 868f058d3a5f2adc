//! The program, as people use it.

mod convert;
mod explain;
mod hostile;
mod manners;
mod page;
mod readme;
mod replay;
mod scenario;
mod sweep;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a run of the program printed.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn succeeded(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// Returns what it printed to standard error.
    #[track_caller]
    fn failed_with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }

    #[track_caller]
    fn json(self) -> Value {
        serde_json::from_str(&self.succeeded()).unwrap()
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-breaker-tune"));
    command.stdin(Stdio::null());
    command
}

/// Runs the program with the arguments of a line.
fn tune(line: &str) -> Run {
    run(program().args(line.split_whitespace()))
}

fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("no signal ends the program");
    Run { code, out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the program with this on its standard input.
fn tune_with(line: &str, input: &[u8]) -> Run {
    let mut command = program();
    command.args(line.split_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program may end before it has read everything.
    _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("no signal ends the program");
    Run { code, out: text(output.stdout), err: text(output.stderr) }
}

/// A file that a test may write. Each test has names of its own.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Writes a file, and returns its name for a command line.
fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let path = scratch(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().into()
}

/// A trace of the repository.
fn recorded(name: &str) -> String {
    format!("{}/traces/{name}", env!("CARGO_MANIFEST_DIR"))
}
