//! What a registry takes of memory. This is a test binary of its own, because circuits that others no longer need would
//! be used again.
#![cfg(all(feature = "keyed", feature = "http"))]

use std::fmt::Display;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use allocation_counter::measure;
use tokio::time::advance;
use tower_breaker::CircuitBreaker;
use tower_breaker::keyed::{CircuitBreakerRegistry, HostPort};

const KEYS: u32 = 100_000;

/// What more than two cores and the metrics add for each key: a cache line for each core, and books.
fn additional() -> i64 {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let stripes = cores.min(16).next_power_of_two() as i64;
    let metrics = if cfg!(feature = "metrics") { 400 } else { 0 };
    (stripes - 2).max(0) * 64 + metrics
}

/// A registry of healthy keys.
struct Registry<K> {
    /// How much memory it takes for each key, its own tables included.
    bytes: i64,
    _circuits: CircuitBreakerRegistry<K>,
}

/// Makes calls with all keys. Checks that no success is lost when some of the calls fail afterwards.
async fn registry_of<K>(key: impl Fn(u32) -> K) -> Registry<K>
where
    K: Clone + Display + Eq + Hash,
{
    let mut circuits = None;
    let mut bytes = measure(|| {
        let builder = CircuitBreakerRegistry::builder(CircuitBreaker::builder("crawler"));
        circuits = builder.capacity(KEYS).build().ok();
    });
    let circuits = circuits.unwrap();
    for calls in [1, 2, 3] {
        bytes += measure(|| {
            for key in (0..KEYS).map(&key) {
                (0..calls).for_each(|_| circuits.try_acquire(&key).unwrap().success());
            }
        });
        advance(Duration::from_secs(4)).await; // into another bucket of the window
    }
    assert_eq!(circuits.len(), KEYS as usize);
    for key in (0..KEYS).step_by(1000).map(&key) {
        circuits.try_acquire(&key).unwrap().failure();
        let snapshot = circuits.get(&key).unwrap().snapshot();
        assert_eq!((snapshot.calls(), snapshot.failures()), (1 + 2 + 3 + 1, 1));
    }
    Registry { bytes: bytes.bytes_current / i64::from(KEYS), _circuits: circuits }
}

// Two tests in one, because the circuits of one would be used again by the other.
#[tokio::test(start_paused = true)]
async fn a_healthy_key_takes_little_memory_and_loses_no_success() {
    let numbers = registry_of(|n| n).await;
    let host = |n| HostPort::new(&format!("host-{n}.example.com"), 443).unwrap();
    let hosts = registry_of(host).await;
    println!("{} bytes for each number, {} for each host", numbers.bytes, hosts.bytes);
    assert!(numbers.bytes.max(hosts.bytes) <= 640 + additional());
}
