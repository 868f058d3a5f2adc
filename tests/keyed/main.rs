//! One circuit for each key: the registry and the layer that picks circuits from it.
#![cfg(all(feature = "keyed", feature = "http"))]

mod bounded;
mod flood;
mod full;
mod host;
mod hung;
mod idle;
mod keys;
mod model;
mod no_allocation;
mod reconfigure;
mod registry;
mod service;
mod sockets;
mod stress;

use std::time::Duration;

use tower_breaker::keyed::{CircuitBreakerRegistry, CircuitBreakerRegistryBuilder};
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder};

const HOUR: Duration = Duration::from_secs(3600);

/// Settings of a circuit that trips on the first failure.
fn template() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("api").consecutive_failures(1).open_duration(HOUR)
}

fn builder<K>() -> CircuitBreakerRegistryBuilder<K> {
    CircuitBreakerRegistry::builder(template())
}

fn numbered(capacity: u32) -> CircuitBreakerRegistry<u32> {
    builder().capacity(capacity).build().unwrap()
}
