//! Calls of a registry while the settings of all its circuits change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder};
use tower_breaker_benches::measure::median;

use crate::times::Times;

const CIRCUITS: u32 = 10_000;
const CALLS: u32 = 100_000;
const ROUNDS: usize = 9;

pub fn measure() {
    println!(
        "{CALLS} calls by one thread to {CIRCUITS} circuits, while another thread changes the settings of all of them"
    );
    println!("again and again, or does nothing. Medians of {ROUNDS} rounds\n");
    let [changing, quiet] = [true, false].map(|changes| {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round(changes)).collect();
        [0, 1, 2, 3].map(|at| median(rounds.iter().map(|round| round[at])))
    });
    println!(
        "{:<20}{:>12}{:>22}{:>16}{:>22}",
        "", "ns per call", "1 of 10,000 takes, us", "longest, us", "one change of all, ms"
    );
    for (name, [mean, slowest, longest, change]) in
        [("changing", changing), ("not changing", quiet)]
    {
        println!("{name:<20}{mean:>12.0}{slowest:>22.1}{longest:>16.1}{change:>22.1}");
    }
}

fn template(failures: u32) -> CircuitBreakerBuilder {
    CircuitBreaker::builder("keyed").consecutive_failures(failures).failure_rate_threshold(0.5)
}

fn round(changes: bool) -> [f64; 4] {
    let circuits: CircuitBreakerRegistry<u32> = CircuitBreakerRegistry::builder(template(5))
        .capacity(CIRCUITS)
        .build()
        .expect("the settings are valid");
    let call = |key| circuits.try_acquire(&key).expect("no call fails").success();
    (0..CIRCUITS).for_each(call);
    let (has_begun, is_over, never) =
        (AtomicBool::new(!changes), AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let (circuits, has_begun, is_over) = (&circuits, &has_begun, &is_over);
        let operator = scope.spawn(move || {
            let mut times = Vec::new();
            for round in (0..).take_while(|_| changes && !is_over.load(Ordering::Relaxed)) {
                let before = Instant::now();
                circuits.reconfigure(template(5 + round % 2)).expect("the settings are valid");
                times.push(before.elapsed().as_secs_f64() * 1e3);
                has_begun.store(true, Ordering::Relaxed);
            }
            if times.is_empty() { 0.0 } else { median(times) }
        });
        while !has_begun.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        let before = Instant::now();
        let keys = (0..CIRCUITS).cycle().take(CALLS as usize);
        let times = Times::of(keys, &never, call);
        let mean = before.elapsed().as_nanos() as f64 / f64::from(CALLS);
        is_over.store(true, Ordering::Relaxed);
        [mean, times.slowest(), times.longest(), operator.join().expect("no call panics")]
    })
}
