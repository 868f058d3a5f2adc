//! The settings of all circuits of a registry change while they are used.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{Cause, CircuitBreaker, CircuitBreakerBuilder, EventKind, State};

fn template(failures: u32) -> CircuitBreakerBuilder {
    CircuitBreaker::builder("keyed").consecutive_failures(failures)
}

fn registry(template: CircuitBreakerBuilder) -> CircuitBreakerRegistry<u32> {
    CircuitBreakerRegistry::builder(template).capacity(20_000).build().unwrap()
}

/// Lets calls fail until the circuit opens. Returns after how many failures in a row it does.
fn limit(breaker: &CircuitBreaker) -> u64 {
    while breaker.state() == State::Closed {
        breaker.try_acquire().unwrap().failure();
    }
    match breaker.history().last().unwrap().cause() {
        Cause::ConsecutiveFailures { failures } => failures,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_circuits_change_and_keep_what_they_have_counted_and_new_ones_have_the_new_settings() {
    let circuits = registry(template(5));
    for key in 0..1000 {
        circuits.try_acquire(&key).unwrap().failure();
    }
    let in_flight = circuits.try_acquire(&7).unwrap();
    circuits.reconfigure(template(3)).unwrap();
    for key in 0..1000 {
        let breaker = circuits.get(&key).unwrap();
        assert_eq!(breaker.snapshot().consecutive_failures(), 1);
    }
    in_flight.failure();
    assert_eq!(circuits.get(&7).unwrap().snapshot().consecutive_failures(), 2);
    assert_eq!(limit(&circuits.get(&7).unwrap()), 3);
    assert_eq!(limit(&circuits.get_or_create(&5000)), 3);
}

#[test]
fn settings_that_are_not_valid_change_no_circuit() {
    let circuits = registry(template(5));
    circuits.try_acquire(&1).unwrap().success();
    assert_eq!(circuits.reconfigure(template(0)).unwrap_err().setting(), "consecutive_failures");
    for key in [1, 2] {
        assert_eq!(limit(&circuits.get_or_create(&key)), 5);
    }
}

#[test]
fn the_name_and_the_listeners_stay() {
    let circuits = registry(template(5).on_event(|event| {
        if let EventKind::Reconfigured(_) = event.kind() {
            assert!(event.breaker().starts_with("keyed/"));
        }
    }));
    circuits.try_acquire(&1).unwrap().success();
    let other = CircuitBreaker::builder("other").on_event(|_| panic!("this is no listener"));
    circuits.reconfigure(other.consecutive_failures(1)).unwrap();
    for key in [1, 2] {
        let breaker = circuits.get_or_create(&key);
        assert_eq!(breaker.name(), format!("keyed/{key}"));
        assert_eq!(limit(&breaker), 1);
    }
}

#[test]
fn each_circuit_keeps_its_share_unless_the_template_sets_one() {
    let circuits = registry(template(5).enforcement(0.5));
    circuits.get_or_create(&1).set_enforcement(0.25).unwrap();
    let share = |key: u32| circuits.get_or_create(&key).snapshot().enforcement();
    circuits.reconfigure(template(4)).unwrap();
    assert_eq!([share(1), share(2)], [0.25, 0.5]);
    circuits.reconfigure(template(4).enforcement(0.0)).unwrap();
    assert_eq!([share(1), share(2), share(3)], [0.0; 3]);
    circuits.reconfigure(template(3)).unwrap();
    assert_eq!([share(1), share(4)], [0.0; 2]);
}

#[test]
fn circuits_that_are_created_while_the_settings_change_end_with_the_last_ones() {
    const CREATED: u32 = if cfg!(miri) { 50 } else { 5_000 };
    let circuits = registry(template(1000));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let creators: Vec<_> = (0..2)
            .map(|n| {
                let circuits = &circuits;
                scope.spawn(move || {
                    (0..CREATED).for_each(|key| drop(circuits.get_or_create(&(n * CREATED + key))));
                })
            })
            .collect();
        for n in 0..2 {
            let (circuits, is_over) = (&circuits, &is_over);
            scope.spawn(move || {
                for round in 0.. {
                    circuits.reconfigure(template(10 + n * 100 + round % 50)).unwrap();
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        creators.into_iter().for_each(|it| it.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
    });
    let expected = limit(&circuits.get_or_create(&u32::MAX));
    for (key, breaker) in circuits.list().into_iter().filter(|(key, _)| *key != u32::MAX) {
        let rule = breaker.snapshot().trip_rules().next().unwrap().to_string();
        assert_eq!(rule, format!("0 of {expected} failures in a row"), "of key {key}");
    }
}
