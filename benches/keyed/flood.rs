//! Eight threads, one of which creates circuits without end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tower_breaker::CircuitBreaker;
use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker_benches::measure::median;

use crate::times::Times;

const KEYS: u32 = 1000;
const CAPACITY: u32 = 4096;
const CALLERS: u32 = 7;
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 9;

pub fn measure() {
    println!(
        "{CALLERS} threads with known keys, and one that creates circuits without end, in the same registry"
    );
    println!(
        "or in another one: million calls per second, how long one of 10,000 calls takes in microseconds,"
    );
    println!("and thousand new circuits per second. Medians of {ROUNDS} rounds\n");
    let rounds: Vec<[[f64; 4]; 2]> = (0..ROUNDS).map(|_| [true, false].map(round)).collect();
    println!(
        "{:<28}{:>10}{:>18}{:>20}{:>14}",
        "", "calls", "any call, us", "new circuit, us", "new circuits"
    );
    for (at, name) in ["the same registry", "another registry"].into_iter().enumerate() {
        let [calls, any, new, created] =
            [0, 1, 2, 3].map(|column| median(rounds.iter().map(|round| round[at][column])));
        println!("{name:<28}{calls:>10.1}{any:>18.1}{new:>20.1}{created:>14.0}");
    }
    let ratio = median(rounds.iter().map(|[same, other]| same[0] / other[0]));
    println!("calls of known keys: {ratio:.2} times those beside another registry");
}

fn registry() -> CircuitBreakerRegistry<u32> {
    let registry =
        CircuitBreakerRegistry::builder(CircuitBreaker::builder("flood")).capacity(CAPACITY);
    registry.build().expect("the settings are valid")
}

fn call(circuits: &CircuitBreakerRegistry<u32>, key: u32) {
    circuits.try_acquire(&key).expect("no call fails").success();
}

fn round(is_same: bool) -> [f64; 4] {
    let circuits = registry();
    for key in (0..KEYS).chain(0..KEYS) {
        call(&circuits, key);
    }
    let flooded = if is_same { circuits.clone() } else { registry() };
    let (is_over, end) = (AtomicBool::new(false), Instant::now() + ROUND);
    let (mut known, mut new) = (Times::default(), Times::default());
    thread::scope(|scope| {
        let (circuits, is_over) = (&circuits, &is_over);
        let callers = (0..CALLERS).map(|thread| {
            scope.spawn(move || {
                let keys = (0..KEYS).cycle().skip(100 * thread as usize);
                Times::of(keys, is_over, |key| call(circuits, key))
            })
        });
        let callers: Vec<_> = callers.collect();
        let flood = scope.spawn(move || Times::of(KEYS.., is_over, |key| call(&flooded, key)));
        thread::sleep(end.saturating_duration_since(Instant::now()));
        is_over.store(true, Ordering::Relaxed);
        for caller in callers {
            known.add(caller.join().expect("no call panics"));
        }
        new = flood.join().expect("no call panics");
    });
    let per_second = |times: &Times| times.calls() as f64 / ROUND.as_secs_f64();
    let (calls, created) = (per_second(&known) / 1e6, per_second(&new) / 1e3);
    let of_new = new.slowest();
    known.add(new);
    [calls, known.slowest(), of_new, created]
}
