//! What becomes of the throughput when two threads, or as many as given, share a circuit, each with
//! a clone of the service that lives as long as the thread.
//!
//! ```sh
//! cd benches && cargo bench --bench contention [-- 4]
//! ```

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tower::Service;
use tower_breaker_benches::{
    BASELINE, INNER, Inner, behind, call, concurrency_limit, consecutive, count_window, open,
    time_window, time_window_and_slow_calls,
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

fn measure<S: Service<u32> + Clone + Send>(name: &str, threads: usize, service: &S) {
    // In turn, so that whatever else the machine does meets both.
    let mut one = Vec::new();
    let mut many = Vec::new();
    for _ in 0..ROUNDS {
        one.push(throughput(1, service));
        many.push(throughput(threads, service));
    }
    let (one, many) = (median(one), median(many));
    println!("{name:<45} {one:>8.1} {many:>13.1} {:>8.2}", many / one);
}

/// In million calls per second, all threads together.
fn throughput<S: Service<u32> + Clone + Send>(threads: usize, service: &S) -> f64 {
    let start = Barrier::new(threads);
    let rates = thread::scope(|scope| {
        let run = || {
            let mut service = service.clone();
            let start = &start;
            scope.spawn(move || {
                (0..1000).for_each(|n| call(&mut service, n));
                start.wait();
                let begin = Instant::now();
                let mut calls = 0_u32;
                while begin.elapsed() < ROUND {
                    (0..1000).for_each(|n| call(&mut service, n));
                    calls += 1000;
                }
                f64::from(calls) / begin.elapsed().as_secs_f64() / 1e6
            })
        };
        let running: Vec<_> = (0..threads).map(|_| run()).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<f64>>()
    });
    rates.iter().sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
