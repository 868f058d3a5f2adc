//! What the registry keeps, and what an operator can do with it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::Duration;

use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{CircuitBreaker, ConfigError, RejectReason, SlidingWindow, State};

use crate::{builder, numbered};

#[test]
fn each_key_has_its_own_circuit_with_the_key_in_its_name() {
    let circuits: CircuitBreakerRegistry<String> = builder().build().unwrap();
    circuits.get_or_create("a").try_acquire().unwrap().failure();

    let rejected = circuits.get_or_create("a").try_acquire().unwrap_err();
    assert_eq!(rejected.breaker(), "api/a");
    assert_eq!(circuits.get_or_create("b").state(), State::Closed);
}

#[test]
fn clones_of_a_registry_share_the_circuits() {
    let circuits = numbered(10);
    circuits.clone().get_or_create(&1).trip();
    assert_eq!(circuits.get_or_create(&1).state(), State::Open);
}

#[test]
fn looking_creates_no_circuit() {
    let circuits = numbered(10);
    assert!(circuits.is_empty());
    assert!(circuits.get(&1).is_none());
    assert!(circuits.list().is_empty());
    assert_eq!(circuits.len(), 0);
}

#[test]
fn an_operator_lists_the_circuits_and_acts_on_one() {
    let circuits = numbered(10);
    circuits.get_or_create(&1).try_acquire().unwrap().failure();
    circuits.get_or_create(&2).try_acquire().unwrap().success();

    let list = circuits.list();
    let seen: BTreeMap<_, _> = list.iter().map(|(key, breaker)| (*key, breaker.state())).collect();
    assert_eq!(seen, BTreeMap::from([(1, State::Open), (2, State::Closed)]));
    assert_eq!(circuits.len(), 2);

    circuits.get(&2).unwrap().force_open();
    assert!(circuits.get_or_create(&2).try_acquire().is_err());
}

/// A key whose `Display` waits until two threads display it, so that both create its circuit at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Meeting;

impl Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static BOTH: Barrier = Barrier::new(2);
        BOTH.wait();
        f.write_str("meeting")
    }
}

#[test]
fn two_threads_that_create_the_circuit_of_one_key_at_once_share_one_circuit() {
    let circuits = builder().build().unwrap();
    let ask = || circuits.get_or_create(&Meeting);
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(ask);
        (ask(), other.join().unwrap())
    });
    one.trip();
    assert_eq!(other.state(), State::Open);
    assert_eq!(circuits.get(&Meeting).unwrap().state(), State::Open);
}

#[test]
fn asking_the_registry_is_asking_the_circuit_of_the_key() {
    let circuits = numbered(2);
    circuits.try_acquire(&1).unwrap().success();
    circuits.get(&1).expect("it was just created").trip();

    let rejected = circuits.try_acquire(&1).unwrap_err();
    assert_eq!(rejected.breaker(), "api/1");
    assert_eq!(rejected.reason(), RejectReason::Open);
    circuits.get(&1).unwrap().force_open();
    circuits.get(&1).unwrap().resume();
    circuits.try_acquire(&1).expect("it is a probe").failure();
    assert_eq!(circuits.try_acquire(&1).unwrap_err().reason(), RejectReason::Open);
    circuits.try_acquire(&2).unwrap().failure();
    assert_eq!(circuits.get(&2).unwrap().state(), State::Open);
}

#[test]
fn a_listener_may_use_the_registry() {
    static CIRCUITS: OnceLock<CircuitBreakerRegistry<u32>> = OnceLock::new();
    let template = crate::template().on_transition(|_| {
        let circuits = CIRCUITS.get().unwrap();
        circuits.try_acquire(&2).unwrap().success();
        circuits.sweep();
    });
    let circuits =
        CIRCUITS.get_or_init(|| CircuitBreakerRegistry::builder(template).build().unwrap());
    circuits.try_acquire(&1).unwrap().failure();
    assert_eq!(circuits.len(), 2);
}

/// There are more keys than the registry has capacity for, so circuits come and go all the time.
#[test]
fn many_threads_each_reach_the_circuits_of_their_keys() {
    let window = SlidingWindow::count(100_000);
    let template = CircuitBreaker::builder("api").failure_rate_threshold(1.0);
    let template = template.sliding_window(window).minimum_calls(100_000);
    let circuits = CircuitBreakerRegistry::builder(template).capacity(4).build().unwrap();
    let fails = |key: u32| key % 2 == 1;
    thread::scope(|scope| {
        for first in 0..4 {
            let circuits = &circuits;
            scope.spawn(move || {
                for n in 0..20_000 {
                    let key = (first + n / 3) % 16;
                    let permit = circuits.try_acquire(&key).unwrap();
                    if fails(key) { permit.failure() } else { permit.success() }
                }
            });
        }
    });
    assert_eq!(circuits.len(), 4);
    for (key, breaker) in circuits.list() {
        assert_eq!(breaker.name(), format!("api/{key}"));
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.failures(), if fails(key) { snapshot.calls() } else { 0 });
    }
}

#[test]
fn an_invalid_setting_is_an_error_of_the_registry() {
    let setting = |built: Result<CircuitBreakerRegistry<u32>, ConfigError>| {
        built.unwrap_err().setting().to_owned()
    };
    assert_eq!(setting(builder().capacity(0).build()), "capacity");
    assert_eq!(setting(builder().idle_timeout(Duration::ZERO).build()), "idle_timeout");
    let template = CircuitBreaker::builder("api").failure_rate_threshold(2.0);
    let built = CircuitBreakerRegistry::builder(template).build();
    assert_eq!(setting(built), "failure_rate_threshold");
}

#[test]
fn a_registry_of_one_works() {
    let circuits = numbered(1);
    for key in 0..10 {
        circuits.get_or_create(&key);
        assert_eq!(circuits.len(), 1);
        assert!(circuits.get(&key).is_some(), "the newest circuit is kept");
    }
}
