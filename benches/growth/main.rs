//! Whether the cost of a call grows: with the threads, the circuits, the calls in the window and the
//! clones of the service.
//!
//! ```sh
//! cd benches && cargo bench --bench growth              # prints
//! cd benches && cargo bench --bench growth -- --plot    # and draws growth.svg
//! ```
//!
//! All points of a plot are measured in turn, again and again, so that whatever else the machine does
//! affects all of them alike. What is shown is the median of each.

mod measure;
mod plot;

use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use tower::{Layer, Service};
use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
use tower_breaker_benches::measure::throughput;
use tower_breaker_benches::{
    BASELINE, HALF_FAILS, INNER, Inner, Shape, behind, call_by_hand as call, concurrency_limit,
    consecutive, count_window, template, time_window,
};

use measure::{CALLS, Measure, ROUNDS, calls, in_turn, line, panel};
use plot::{Line, Panel};

fn main() {
    let panels = [threads(), circuits(), window(), clones()];
    for Panel { x_axis, lines, .. } in &panels {
        println!(
            "\nnanoseconds per call by {x_axis}: medians of {ROUNDS} rounds, ratio to the first\n"
        );
        for Line { name, points } in lines {
            println!("{name}");
            for (x, time) in points {
                println!("{x:>12} {time:>8.1} ns {:>8.2}", time / points[0].1);
            }
        }
    }
    if std::env::args().any(|arg| arg == "--plot") {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("growth.svg");
        plot::draw(&panels, &file).expect("the file can be written");
    }
}

fn threads() -> Panel {
    fn of(service: impl Service<u32> + Clone + Send + 'static) -> impl Fn(u32) -> Measure {
        move |threads| {
            let (service, length) = (service.clone(), Duration::from_millis(50));
            Box::new(move || {
                f64::from(threads) * 1e3 / throughput(Shape::ByHand, threads, length, &service)
            })
        }
    }
    let cores = available_parallelism().map_or(1, |cores| cores.get() as u32);
    let sizes: Vec<u32> = (0..).map(|power| 1 << power).take_while(|size| *size <= cores).collect();
    let lines = [
        line("consecutive failures", &sizes, of(behind(&consecutive(), INNER))),
        line("time window", &sizes, of(behind(&time_window(), INNER))),
        line(BASELINE, &sizes, of(concurrency_limit())),
    ];
    panel("One circuit for all threads", "threads", lines)
}

fn circuits() -> Panel {
    const SIZES: [u32; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
    let lines = [
        line("circuit from a registry", &SIZES, |size| {
            let circuits = CircuitBreakerRegistry::builder(template()).capacity(size).build();
            let circuits = circuits.expect("valid settings");
            (0..size).for_each(|key| drop(circuits.get_or_create(&key)));
            assert_eq!(circuits.len(), size as usize, "all of them have room");
            let mut service = KeyedLayer::new(circuits, |key: &u32| *key).layer(INNER);
            in_turn(shuffled(size), move |key| call(&mut service, *key))
        }),
        line("lookup in a quick_cache alone", &SIZES, |size| {
            let cache = Cache::new(2 * size as usize);
            (0..size).for_each(|key| cache.insert(key, Arc::new(key)));
            in_turn(shuffled(size), move |key| drop(black_box(cache.get(key))))
        }),
        line("circuits in a Vec", &SIZES, |size| {
            let service = |_| behind(&consecutive(), INNER);
            let mut services: Vec<_> = (0..size).map(service).collect();
            in_turn(shuffled(size), move |key| call(&mut services[*key as usize], *key))
        }),
    ];
    panel("A circuit for each key", "circuits", lines)
}

fn window() -> Panel {
    const SIZES: [u32; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];
    fn count(inner: Inner) -> impl Fn(u32) -> Measure {
        move |size| {
            let mut service = behind(&count_window(size), inner);
            (0..size).for_each(|n| call(&mut service, n));
            calls(move |n| call(&mut service, n))
        }
    }
    let lines = [
        line("count window, healthy", &SIZES, count(INNER)),
        line("count window, half of the calls failing", &SIZES, count(HALF_FAILS)),
        line("time window, healthy", &SIZES[2..], filling(INNER)),
        line("time window, half of the calls failing", &SIZES[2..], filling(HALF_FAILS)),
    ];
    panel("The sliding window", "calls in the window", lines)
}

fn clones() -> Panel {
    const SIZES: [u32; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
    fn of(service: impl Service<u32> + Clone + 'static) -> impl Fn(u32) -> Measure {
        move |size| {
            let clones = vec![service.clone(); size as usize];
            in_turn(clones, |service| call(service, black_box(1)))
        }
    }
    let lines = [
        line("consecutive failures", &SIZES, of(behind(&consecutive(), INNER))),
        line("time window", &SIZES, of(behind(&time_window(), INNER))),
        line(BASELINE, &SIZES, of(concurrency_limit())),
    ];
    panel("Clones of one service, used in turn", "clones", lines)
}

fn shuffled(size: u32) -> Vec<u32> {
    let random = RandomState::new();
    let mut keys: Vec<u32> = (0..size).collect();
    keys.sort_by_cached_key(|key| random.hash_one(key));
    keys
}

/// A time window has no size: it holds all recent calls. So it is emptied before each measurement, then
/// filled up to the size, and only the last calls are timed, at most half of them. With fewer than a
/// thousand calls, the measurement's own reading of the clock would show.
fn filling(inner: Inner) -> impl Fn(u32) -> Measure {
    move |size| {
        let breaker = time_window();
        let mut service = behind(&breaker, inner);
        let times = (CALLS / size).max(1);
        let first = size - CALLS.min(size / 2);
        Box::new(move || {
            let mut time = Duration::ZERO;
            for _ in 0..times {
                breaker.reset();
                (0..first).for_each(|n| call(&mut service, n));
                let begin = Instant::now();
                (first..size).for_each(|n| call(&mut service, n));
                time += begin.elapsed();
            }
            time.as_secs_f64() * 1e9 / f64::from(times * (size - first))
        })
    }
}
