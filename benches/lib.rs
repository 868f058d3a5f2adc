//! What the benchmarks share: an inner service that costs nothing, one call through a service, and
//! the circuits that are measured.

use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service};
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, SlidingWindow};

/// What all others are compared with.
pub const BASELINE: &str = "tower ConcurrencyLimit";

/// Always ready, and answers at once.
#[derive(Debug, Clone, Copy)]
pub struct Inner {
    /// Every second call fails.
    pub half_fails: bool,
}

impl Service<u32> for Inner {
    type Response = u32;
    type Error = ();
    type Future = Ready<Result<u32, ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u32) -> Self::Future {
        ready(if self.half_fails && n.is_multiple_of(2) { Err(()) } else { Ok(n) })
    }
}

pub const INNER: Inner = Inner { half_fails: false };

/// `poll_ready`, `call` and one poll to completion.
#[inline(always)]
pub fn call<S: Service<u32>>(service: &mut S, n: u32) {
    let mut cx = Context::from_waker(Waker::noop());
    let ready = service.poll_ready(&mut cx).is_ready();
    let done = pin!(service.call(n)).poll(&mut cx).is_ready();
    black_box((ready, done));
}

pub fn concurrency_limit() -> impl Service<u32> + Clone + Send {
    ConcurrencyLimitLayer::new(1000).layer(INNER)
}

pub fn behind(breaker: &CircuitBreaker, inner: Inner) -> impl Service<u32> + Clone + Send + use<> {
    CircuitBreakerLayer::new(breaker.clone()).layer(inner)
}

fn build(builder: CircuitBreakerBuilder) -> CircuitBreaker {
    builder.build().expect("the settings are valid")
}

pub fn consecutive() -> CircuitBreaker {
    build(CircuitBreaker::builder("consecutive").consecutive_failures(5))
}

/// Half of the calls may fail without tripping it.
pub fn count_window(calls: u32) -> CircuitBreaker {
    let builder = CircuitBreaker::builder("count").failure_rate_threshold(0.9);
    build(builder.sliding_window(SlidingWindow::count(calls)))
}

/// If half of the calls fail, one failure more would trip it.
pub fn one_failure_short() -> CircuitBreaker {
    let builder = CircuitBreaker::builder("short").failure_rate_threshold(0.51).minimum_calls(100);
    build(builder.sliding_window(SlidingWindow::count(100)))
}

pub fn time_window() -> CircuitBreaker {
    build(CircuitBreaker::builder("time").failure_rate_threshold(0.9))
}

pub fn time_window_and_slow_calls() -> CircuitBreaker {
    build(
        CircuitBreaker::builder("slow")
            .failure_rate_threshold(0.9)
            .slow_call_rate_threshold(0.9)
            .slow_call_duration_threshold(Duration::from_secs(1)),
    )
}

pub fn open() -> CircuitBreaker {
    let breaker = build(CircuitBreaker::builder("open").open_duration(Duration::MAX));
    breaker.trip();
    breaker
}

/// Million calls per second through clones of a service, one for each thread, all together.
pub fn throughput<S: Service<u32> + Clone + Send>(
    threads: u32,
    length: Duration,
    service: &S,
) -> f64 {
    let start = Barrier::new(threads as usize);
    let rates = thread::scope(|scope| {
        let run = || {
            let mut service = service.clone();
            let start = &start;
            scope.spawn(move || {
                (0..1000).for_each(|n| call(&mut service, n));
                start.wait();
                let begin = Instant::now();
                let mut calls = 0_u32;
                while begin.elapsed() < length {
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

/// Measures one call through a service.
pub fn measure<S: Service<u32>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut service: S,
) {
    // What is set up once, and the windows full.
    (0..10_000).for_each(|n| call(&mut service, n));
    let mut n = 0;
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            n += 1;
            call(&mut service, black_box(n));
        });
    });
}

pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// The median of something that has just been measured, in nanoseconds; none if it was filtered out,
/// or only tested.
pub fn median(group: &str, name: &str) -> Option<f64> {
    let home = std::env::var_os("CRITERION_HOME").map(PathBuf::from);
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let default = || target.unwrap_or_else(|| "target".into()).join("criterion");
    let file = home.unwrap_or_else(default).join(group).join(name).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

/// The quartiles; the one in the middle is the median.
pub fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

/// Prints the medians of a group that has just been measured, and their ratios to one of them.
pub fn print_ratios(group: &str, baseline: &str, names: &[&str]) {
    let Some(unit) = median(group, baseline) else { return };
    println!("\n{group}: median, and ratio to {baseline}\n");
    for name in names {
        if let Some(time) = median(group, name) {
            println!("{name:<45} {time:>8.1} ns {:>8.2}", time / unit);
        }
    }
    println!();
}
