//! How long it takes to replay a million calls, for each kind of window.
//!
//! ```sh
//! cd benches && cargo bench --bench replay --features replay
//! ```

use std::time::{Duration, Instant};

use tower_breaker::replay::{self, Scenario};
use tower_breaker::{CircuitBreaker, SlidingWindow};

const ROUNDS: usize = 11;

fn main() {
    // A third fails in the incident, so that the circuits are busy with failures and some open and close many times.
    let trace = Scenario::brown_out(2500, 0.33).lasting(Duration::from_secs(160)).trace();
    let calls = trace.calls().len();
    let settings = || CircuitBreaker::builder("replay");
    let rate = || settings().failure_rate_threshold(0.5);
    let rows = [
        ("consecutive failures", settings().consecutive_failures(5)),
        ("count window", rate().sliding_window(SlidingWindow::count(100))),
        ("time window", rate()),
        ("time window, with hung_after", rate().hung_after(Duration::from_secs(2))),
        ("time window that opens", settings().failure_rate_threshold(0.3)),
    ];
    println!("{calls} calls, median of {ROUNDS} rounds");
    let mut times = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for ((_, settings), times) in rows.iter().zip(&mut times) {
            let start = Instant::now();
            let report = replay::run(settings, &trace).expect("the settings are valid");
            times.push(start.elapsed());
            assert_eq!(report.calls(), calls as u64);
        }
    }
    for ((name, _), times) in rows.iter().zip(&mut times) {
        times.sort();
        let median = times[ROUNDS / 2];
        let per_call = median.as_nanos() as f64 / calls as f64;
        println!("{name:<32} {:>6.0} ms  {per_call:>5.0} ns per call", median.as_secs_f64() * 1e3);
    }
}
