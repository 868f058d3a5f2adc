//! What one call costs on one thread, for each kind of window, beside the peers.
//!
//! ```sh
//! cd benches && cargo bench --bench overhead
//! ```

use std::hint::black_box;
use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use failsafe::{CircuitBreaker as _, Config, backoff, failure_policy};
use recloser::Recloser;
use tower_breaker::State;
use tower_breaker_benches::{
    BASELINE, INNER, Inner, behind, concurrency_limit, consecutive, count_window, criterion,
    measure, one_failure_short, open, print_ratios, time_window, time_window_and_slow_calls,
};
use tower_resilience_circuitbreaker::CircuitBreakerLayer as ResilienceLayer;

const GROUP: &str = "one call";

const NAMES: [&str; 15] = [
    "bare",
    BASELINE,
    "consecutive failures",
    "count window of 100, healthy",
    "count window of 100, half of the calls failing",
    "the same, one failure short of tripping",
    "time window, healthy",
    "time window, half of the calls failing",
    "time window and slow calls, healthy",
    "rejection while open",
    "recloser",
    "failsafe, consecutive",
    "failsafe, moving average",
    "tower-resilience",
    "reading the clock",
];

fn main() {
    let mut criterion = criterion();
    let mut group = criterion.benchmark_group(GROUP);
    let half = Inner { half_fails: true };
    measure(&mut group, "bare", INNER);
    measure(&mut group, BASELINE, concurrency_limit());
    measure(&mut group, "consecutive failures", behind(&consecutive(), INNER));
    measure(&mut group, "count window of 100, healthy", behind(&count_window(100), INNER));
    let name = "count window of 100, half of the calls failing";
    measure(&mut group, name, behind(&count_window(100), half));
    let name = "the same, one failure short of tripping";
    let short = one_failure_short();
    measure(&mut group, name, behind(&short, half));
    assert_eq!(short.state(), State::Closed);
    measure(&mut group, "time window, healthy", behind(&time_window(), INNER));
    measure(&mut group, "time window, half of the calls failing", behind(&time_window(), half));
    let name = "time window and slow calls, healthy";
    measure(&mut group, name, behind(&time_window_and_slow_calls(), INNER));
    measure(&mut group, "rejection while open", behind(&open(), INNER));
    peers(&mut group);
    group.finish();
    criterion.final_summary();
    print_ratios(GROUP, BASELINE, &NAMES);
}

fn peers(group: &mut BenchmarkGroup<'_, WallTime>) {
    let recloser = Recloser::custom().closed_len(100).build();
    group.bench_function("recloser", |bencher| {
        bencher.iter(|| recloser.call(|| Ok::<u32, ()>(black_box(1))));
    });
    let wait = || backoff::constant(Duration::from_secs(5));
    let consecutive =
        Config::new().failure_policy(failure_policy::consecutive_failures(5, wait())).build();
    group.bench_function("failsafe, consecutive", |bencher| {
        bencher.iter(|| consecutive.call(|| Ok::<u32, ()>(black_box(1))));
    });
    let average =
        failure_policy::success_rate_over_time_window(0.5, 20, Duration::from_secs(30), wait());
    let average = Config::new().failure_policy(average).build();
    group.bench_function("failsafe, moving average", |bencher| {
        bencher.iter(|| average.call(|| Ok::<u32, ()>(black_box(1))));
    });
    let resilience = ResilienceLayer::builder().sliding_window_size(100).build();
    let resilience = resilience.expect("the settings are valid");
    measure(group, "tower-resilience", resilience.layer_fn(INNER));
    group.bench_function("reading the clock", |bencher| bencher.iter(tokio::time::Instant::now));
}
