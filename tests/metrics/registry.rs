//! The metrics of registries of circuits.

use tower_breaker::CircuitBreaker;
use tower_breaker::keyed::CircuitBreakerRegistry;

use crate::{CALLS, Exporter, of_test, sensitive};

const CIRCUITS: &str = "circuit_breaker_registry_circuits";
const CAPACITY: &str = "circuit_breaker_registry_capacity";
const UNKEPT_CALLS: &str = "circuit_breaker_registry_unkept_calls_total";

fn registry(capacity: u32) -> CircuitBreakerRegistry<u32> {
    CircuitBreakerRegistry::builder(sensitive()).capacity(capacity).build().unwrap()
}

/// Returns the circuits, the capacity and the unkept calls of the registries with the name `test`.
fn values(exporter: &Exporter) -> [f64; 3] {
    let scrape = exporter.scrape();
    [CIRCUITS, CAPACITY, UNKEPT_CALLS].map(|name| scrape.value(name, &of_test(&[])))
}

#[test]
fn the_series_of_a_registry_are_there_from_the_beginning() {
    let exporter = Exporter::new();
    let _registry = registry(3);
    assert_eq!(values(&exporter), [0.0, 3.0, 0.0]);
    assert_eq!(exporter.scrape().sum(CALLS, &of_test(&[])), 0.0);
}

#[test]
fn circuits_that_come_and_go_and_calls_that_are_not_kept_are_counted() {
    let exporter = Exporter::new();
    let circuits = registry(3);
    for key in 0..3 {
        circuits.try_acquire(&key).unwrap().failure();
        assert_eq!(values(&exporter), [f64::from(key + 1), 3.0, 0.0]);
    }
    for n in 1..4 {
        circuits.try_acquire(&7).unwrap().success();
        assert_eq!(values(&exporter), [3.0, 3.0, f64::from(n)]);
    }
    circuits.remove(&0);
    circuits.remove(&1);
    assert_eq!(values(&exporter), [1.0, 3.0, 3.0]);
    for key in 10..20 {
        circuits.try_acquire(&key).unwrap().success(); // the one before is evicted
    }
    assert_eq!(values(&exporter), [3.0, 3.0, 3.0]);
}

#[test]
fn registries_with_one_name_add_up_and_leave_when_they_are_dropped() {
    let exporter = Exporter::new();
    let [one, other] = [1, 10].map(registry);
    (0..4).for_each(|key| drop((one.get_or_create(&key).trip(), other.get_or_create(&key))));
    assert_eq!(values(&exporter), [5.0, 11.0, 3.0]);
    drop(other);
    assert_eq!(values(&exporter), [1.0, 1.0, 3.0]);
    drop(one);
    assert_eq!(values(&exporter), [0.0, 0.0, 3.0]);
}

#[test]
fn a_registry_has_the_name_of_its_template() {
    let exporter = Exporter::new();
    let template = CircuitBreaker::builder("hosts");
    let circuits: CircuitBreakerRegistry<String> =
        CircuitBreakerRegistry::builder(template).build().unwrap();
    circuits.try_acquire("example.com").unwrap().success();
    let scrape = exporter.scrape();
    assert_eq!(scrape.value(CIRCUITS, &[("breaker", "hosts")]), 1.0);
    assert_eq!(scrape.value(CAPACITY, &[("breaker", "hosts")]), 1024.0);
}
