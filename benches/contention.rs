//! What becomes of the throughput when two threads, or as many as given, share a circuit, each with
//! a clone of the service that lives as long as the thread.
//!
//! ```sh
//! cd benches && cargo bench --bench contention [-- 4]
//! ```

use std::time::Duration;

use tower::Service;
use tower_breaker_benches::{
    BASELINE, INNER, Inner, behind, concurrency_limit, consecutive, count_window, open, quartiles,
    throughput, time_window, time_window_and_slow_calls,
};
use tower_resilience_circuitbreaker::CircuitBreakerLayer as ResilienceLayer;

/// For this long the threads run in each round.
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 9;

fn main() {
    let threads = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(2);
    println!("million calls per second: medians of {ROUNDS} rounds\n");
    println!("{:<45} {:>8} {threads:>5} threads {:>8}", "", "1 thread", "ratio");
    measure(BASELINE, threads, &concurrency_limit());
    measure("consecutive failures", threads, &behind(&consecutive(), INNER));
    measure("count window of 100, healthy", threads, &behind(&count_window(100), INNER));
    let half = Inner { half_fails: true };
    let name = "count window of 100, half of the calls failing";
    measure(name, threads, &behind(&count_window(100), half));
    measure("time window, healthy", threads, &behind(&time_window(), INNER));
    measure("time window, half of the calls failing", threads, &behind(&time_window(), half));
    let name = "time window and slow calls, healthy";
    measure(name, threads, &behind(&time_window_and_slow_calls(), INNER));
    measure("rejection while open", threads, &behind(&open(), INNER));
    let resilience = ResilienceLayer::builder().sliding_window_size(100).build();
    let resilience = resilience.expect("the settings are valid");
    measure("tower-resilience", threads, &resilience.layer_fn(INNER));
}

fn measure<S: Service<u32> + Clone + Send>(name: &str, threads: u32, service: &S) {
    // In turn, so that whatever else the machine does meets both.
    let mut one = Vec::new();
    let mut many = Vec::new();
    for _ in 0..ROUNDS {
        one.push(throughput(1, ROUND, service));
        many.push(throughput(threads, ROUND, service));
    }
    let [[_, one, _], [_, many, _]] = [one, many].map(quartiles);
    println!("{name:<45} {one:>8.1} {many:>13.1} {:>8.2}", many / one);
}
