//! Several threads use more keys than the registry has capacity for, so that circuits are evicted and swept, used again
//! for other keys and asked at once, all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, Event, EventKind, State};

use crate::HOUR;

const THREADS: u32 = 4;
/// Each thread has one call in flight, so half of the circuits are always at rest.
const CAPACITY: u32 = 2 * THREADS;
const KEYS: u32 = 4 * CAPACITY;
const ROUNDS: u32 = 20_000;

fn registry(template: CircuitBreakerBuilder) -> CircuitBreakerRegistry<u32> {
    let builder = CircuitBreakerRegistry::builder(template).capacity(CAPACITY);
    builder.idle_timeout(Duration::from_nanos(1)).build().unwrap()
}

/// Runs `work` on all threads, with numbers that each of them goes through in an order of its own, while another
/// thread sweeps.
fn on_all_threads(circuits: &CircuitBreakerRegistry<u32>, work: impl Fn(u32, u32) + Sync) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                circuits.sweep();
                thread::yield_now();
            }
        });
        let work = &work;
        let workers = (0..THREADS).map(|thread| {
            scope.spawn(move || {
                let mut random = thread + 1;
                for _ in 0..ROUNDS {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    work(thread, random >> 16);
                }
            })
        });
        let workers: Vec<_> = workers.collect();
        let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        sweeper.join().unwrap();
        results.into_iter().for_each(|result| result.unwrap());
    });
}

#[derive(Default)]
struct Settled {
    current: AtomicU64,
    stale: AtomicU64,
    unkept: AtomicU64,
}

#[test]
fn every_result_counts_in_the_circuit_that_admitted_its_call() {
    let settled = Arc::new(Settled::default());
    let listener = settled.clone();
    let template = CircuitBreaker::builder("stress").on_event(move |event: &Event<'_>| {
        let count = match event.kind() {
            EventKind::Settled(settled) if settled.is_stale() => &listener.stale,
            EventKind::Settled(_) => &listener.current,
            EventKind::RegistryFull { .. } => &listener.unkept,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    });
    let circuits = registry(template.failure_rate_threshold(1.0).minimum_calls(u32::MAX));
    on_all_threads(&circuits, |_, random| {
        let permit = circuits.try_acquire(&(random % KEYS)).unwrap();
        match random % 3 {
            0 => permit.failure(),
            _ => permit.success(),
        }
    });
    let counts = [&settled.current, &settled.stale, &settled.unkept];
    let counts = counts.map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts, [u64::from(THREADS * ROUNDS), 0, 0], "current, stale, not kept");
    assert!(circuits.len() <= CAPACITY as usize);
}

/// A failure opens the circuit, and an open circuit is neither evicted nor swept. So a failure is lost only if the circuit
/// was removed while the call was in flight, or before that while it was admitted.
#[test]
fn no_circuit_is_removed_while_a_call_is_admitted_in_flight_or_settled() {
    let template = CircuitBreaker::builder("stress").consecutive_failures(1).open_duration(HOUR);
    let circuits = registry(template);
    on_all_threads(&circuits, |thread, random| {
        // The keys that fail are those of one thread each, which closes them again.
        let own = KEYS + thread;
        if random % 8 > 0 {
            circuits.try_acquire(&(random % KEYS)).unwrap().success();
            return;
        }
        circuits.try_acquire(&own).unwrap().failure();
        let breaker = circuits.get(&own).expect("an open circuit stays");
        assert_eq!(breaker.state(), State::Open);
        breaker.reset();
    });
}

/// The same with probes: nothing but the probe in flight keeps a half-open circuit from being swept.
#[test]
fn no_circuit_is_swept_while_a_probe_is_in_flight() {
    let template = CircuitBreaker::builder("stress").consecutive_failures(1).open_duration(HOUR);
    let circuits = registry(template);
    on_all_threads(&circuits, |thread, random| {
        if random % 8 > 0 {
            circuits.try_acquire(&(random % KEYS)).unwrap().success();
            return;
        }
        let own = KEYS + thread;
        let breaker = circuits.get_or_create(&own);
        breaker.force_open();
        breaker.resume();
        let probe = breaker.try_acquire().unwrap();
        drop(breaker);
        thread::yield_now();
        probe.failure();
        let breaker = circuits.get(&own).expect("an open circuit stays");
        assert_eq!(breaker.state(), State::Open);
        breaker.reset();
    });
}
