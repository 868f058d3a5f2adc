//! How many instructions a call takes: unlike time, this is the same on a busy machine and on an idle
//! one, so it can be held to a budget.
//!
//! ```sh
//! cd benches && cargo bench --bench instructions            # prints, and fails over the budget
//! cd benches && cargo bench --bench instructions -- --bless # writes the budget anew
//! ```
//!
//! Needs valgrind. It runs itself under callgrind, once with few calls and once with more; the
//! difference is what the calls took. Reading the clock is a system call there, whose instructions
//! are the kernel's and not counted.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use tower::Service;
use tower_breaker_benches::{
    BASELINE, INNER, Inner, behind, call, concurrency_limit, consecutive, count_window, open,
    time_window, time_window_and_slow_calls,
};

const CALLS: u32 = 10_000;

/// How far over its budget a call may be: compilers differ.
const SLACK: f64 = 1.03;

const ROWS: [&str; 8] = [
    BASELINE,
    "consecutive failures",
    "count window of 100, healthy",
    "count window of 100, half of the calls failing",
    "time window, healthy",
    "time window, half of the calls failing",
    "time window and slow calls, healthy",
    "rejection while open",
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let [_, row, calls] = &args[..]
        && let Ok(calls) = calls.parse()
    {
        run(row, calls);
        return ExitCode::SUCCESS;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let counts: BTreeMap<&str, f64> = ROWS.iter().map(|row| (*row, per_call(row))).collect();
    if args.iter().any(|arg| arg == "--bless") {
        let json = serde_json::to_string_pretty(&counts).expect("numbers");
        std::fs::write(&file, json + "\n").expect("the budget can be written");
    }
    let budget = std::fs::read_to_string(&file).expect("there is a budget");
    let budget: BTreeMap<String, f64> = serde_json::from_str(&budget).expect("numbers");
    println!("{:<50} {:>12} {:>8} {:>8}", "", "instructions", "budget", "ratio");
    let mut passed = true;
    for row in ROWS {
        let (count, budget) = (counts[row], budget[row]);
        let is_over = count > budget * SLACK;
        passed &= !is_over;
        let verdict = if is_over { "  over its budget" } else { "" };
        println!(
            "{row:<50} {count:>12.1} {budget:>8.1} {:>8.2}{verdict}",
            count / counts[BASELINE]
        );
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(row: &str, calls: u32) {
    let half = Inner { half_fails: true };
    match row {
        BASELINE => calls_through(concurrency_limit(), calls),
        "consecutive failures" => calls_through(behind(&consecutive(), INNER), calls),
        "count window of 100, healthy" => calls_through(behind(&count_window(100), INNER), calls),
        "count window of 100, half of the calls failing" => {
            calls_through(behind(&count_window(100), half), calls);
        }
        "time window, healthy" => calls_through(behind(&time_window(), INNER), calls),
        "time window, half of the calls failing" => {
            calls_through(behind(&time_window(), half), calls);
        }
        "time window and slow calls, healthy" => {
            calls_through(behind(&time_window_and_slow_calls(), INNER), calls);
        }
        "rejection while open" => calls_through(behind(&open(), INNER), calls),
        _ => panic!("there is no row {row:?}"),
    }
}

fn calls_through<S: Service<u32>>(mut service: S, calls: u32) {
    (0..1000 + calls).for_each(|n| call(&mut service, n)); // the first ones fill the window
}

fn per_call(row: &str) -> f64 {
    (instructions(row, 2 * CALLS) - instructions(row, CALLS)) / f64::from(CALLS)
}

/// What valgrind counts for a whole run.
fn instructions(row: &str, calls: u32) -> f64 {
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
