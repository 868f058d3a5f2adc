//! What a fleet does, with the votes in memory and on a paused clock.

mod memory {
    mod faults;
    mod observe;
    mod settings;
    mod votes;
}

use std::time::Duration;

use tower_breaker::{Backoff, CircuitBreaker, CircuitBreakerBuilder, HalfOpen};
use tower_breaker_fleet::{Fleet, FleetBuilder, MemoryLink, MemoryStore, Store};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const TIME_TO_LIVE: Duration = Duration::from_secs(10);

/// An instance with one circuit.
struct Instance {
    fleet: Fleet,
    breaker: CircuitBreaker,
    link: MemoryLink,
}

impl Instance {
    fn new(store: &MemoryStore) -> Self {
        Self::with(store, |builder| builder)
    }

    fn with(
        store: &MemoryStore,
        settings: impl FnOnce(FleetBuilder<MemoryStore>) -> FleetBuilder<MemoryStore>,
    ) -> Self {
        let store = store.clone();
        let link = store.link();
        let fleet = settings(Fleet::builder("test", store)).spawn().unwrap();
        let breaker = payments().build().unwrap();
        fleet.add(&breaker).unwrap();
        Self { fleet, breaker, link }
    }

    fn is_suspected(&self) -> bool {
        self.breaker.snapshot().suspected_for().is_some()
    }
}

fn fleet(store: &MemoryStore, n: usize) -> Vec<Instance> {
    (0..n).map(|_| Instance::new(store)).collect()
}

/// Stays open for a minute.
fn payments() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("payments")
        .consecutive_failures(6)
        .open_duration(Backoff::constant(60 * SECOND).jitter(0.0))
        .half_open(HalfOpen::consecutive_successes(1))
}

/// Lets time pass in small steps, so that every task runs when it should.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Long enough for every instance to have made an exchange.
async fn settle() {
    pass(TIME_TO_LIVE / 2).await;
}

fn suspected(instances: &[Instance]) -> usize {
    instances.iter().filter(|it| it.is_suspected()).count()
}

fn spawned<S: Store>(store: S) -> Fleet {
    Fleet::builder("test", store).spawn().unwrap()
}
