//! How many instructions a call takes. Unlike time, this number is the same on a busy machine and on
//! an idle one, so it can be held to a budget.
//!
//! ```sh
//! cd benches && cargo bench --bench instructions            # prints, and fails over the budget
//! cd benches && cargo bench --bench instructions -- --bless # writes the budget anew
//! ```
//!
//! It needs valgrind. It runs itself under callgrind, once with few calls and once with more, and the
//! difference is what the calls took. Reading the clock is a system call there; the instructions of
//! the kernel are not counted.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, ExitCode};

use tower::Service;
use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker_benches::{Shape, Visitor, template, visit_services};

const CALLS: u64 = 10_000;

/// How far over its budget a call may be, because compilers differ.
const SLACK: f64 = 1.03;

const SHAPES: [Shape; 2] = [Shape::ByHand, Shape::Async];
const KEYED: &str = "try_acquire by a known key";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let [_, row, calls] = &args[..]
        && let Ok(calls) = calls.parse()
    {
        run(row, calls);
        return ExitCode::SUCCESS;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let rows = run("none of them", 0);
    let counts: BTreeMap<&str, f64> =
        rows.iter().map(|row| (row.as_str(), per_call(row))).collect();
    if args.iter().any(|arg| arg == "--bless") {
        let json = serde_json::to_string_pretty(&counts).expect("numbers");
        std::fs::write(&file, json + "\n").expect("the budget can be written");
    }
    let budget = std::fs::read_to_string(&file).expect("there is a budget");
    let budget: BTreeMap<String, f64> = serde_json::from_str(&budget).expect("numbers");
    println!("{:<62} {:>12} {:>8} {:>8}", "", "instructions", "budget", "ratio");
    let mut passed = true;
    for row in &rows {
        let (count, budget) = (counts[row.as_str()], budget[row]);
        let is_over = count > budget * SLACK;
        passed &= !is_over;
        let verdict = if is_over { "  over its budget" } else { "" };
        println!("{row:<62} {count:>12.1} {budget:>8.1} {:>8.2}{verdict}", count / budget);
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes so many calls of one row, and returns the names of all rows.
fn run(row: &str, calls: u64) -> Vec<String> {
    let calls = 0..1000 + calls; // the first ones fill the windows
    let mut names = Vec::new();
    for shape in SHAPES {
        let mut rows = Rows { shape, row, calls: calls.clone(), names };
        visit_services(&mut rows);
        names = rows.names;
    }
    if row == KEYED {
        let circuits = CircuitBreakerRegistry::builder(template()).build();
        let circuits = circuits.expect("the settings are valid");
        calls.for_each(|_| circuits.try_acquire(black_box(&7_u64)).expect("closed").success());
    }
    names.push(KEYED.to_owned());
    names
}

struct Rows<'a> {
    shape: Shape,
    row: &'a str,
    calls: Range<u64>,
    names: Vec<String>,
}

impl Visitor for Rows<'_> {
    fn visit<S: Service<u32> + Clone + Send + 'static>(
        &mut self,
        name: &'static str,
        mut service: S,
    ) {
        let name = format!("{}: {name}", self.shape.name());
        if name == self.row {
            self.shape.time(&mut service, self.calls.clone());
        }
        self.names.push(name);
    }
}

fn per_call(row: &str) -> f64 {
    (instructions(row, 2 * CALLS) - instructions(row, CALLS)) / CALLS as f64
}

/// What valgrind counts for a whole run.
fn instructions(row: &str, calls: u64) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("this program has a path"))
        .args([row, &calls.to_string()])
        .output()
        .expect("valgrind is installed");
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.unwrap_or_else(|| panic!("valgrind failed: {report}"));
    count.trim().parse().expect("a number")
}
