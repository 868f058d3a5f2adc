//! Circuits that nobody uses any more, on a paused clock.

use std::time::Duration;

use tokio::time::advance;
use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{CircuitBreaker, HalfOpen, State};

use crate::HOUR;

const IDLE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Returns a registry whose circuits open for 90 seconds.
fn circuits() -> CircuitBreakerRegistry<u32> {
    let template =
        CircuitBreaker::builder("api").consecutive_failures(1).open_duration(IDLE * 3 / 2);
    CircuitBreakerRegistry::builder(template).idle_timeout(IDLE).build().unwrap()
}

/// Lets time pass in steps of a second and sweeps after each.
async fn pass(circuits: &CircuitBreakerRegistry<u32>, time: Duration) {
    for _ in 0..time.as_secs() {
        advance(SECOND).await;
        circuits.sweep();
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_is_dropped_between_one_and_two_idle_times_after_its_last_use() {
    for used_after in [0, 1, 30, 59, 60, 61] {
        let circuits = circuits();
        circuits.get_or_create(&1);
        pass(&circuits, SECOND * used_after).await;
        circuits.get_or_create(&1);

        pass(&circuits, IDLE - SECOND).await;
        assert!(circuits.get(&1).is_some(), "used after {used_after} s");
        pass(&circuits, IDLE + SECOND).await;
        assert!(circuits.is_empty(), "used after {used_after} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_circuit_sweeps() {
    let circuits = circuits();
    circuits.get_or_create(&1);
    advance(IDLE).await;
    circuits.get_or_create(&2);
    advance(IDLE).await;
    circuits.get_or_create(&3);
    assert!(circuits.get(&1).is_none());
    assert!(circuits.get(&2).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_hit_does_not_sweep_but_counts_as_use() {
    let circuits = circuits();
    circuits.get_or_create(&1);
    circuits.get_or_create(&2);
    for _ in 0..10 {
        pass(&circuits, IDLE / 2).await;
        circuits.get_or_create(&1);
    }
    assert!(circuits.get(&1).is_some());
    assert!(circuits.get(&2).is_none());
}

#[tokio::test(start_paused = true)]
async fn looking_at_a_circuit_does_not_count_as_use() {
    let circuits = circuits();
    circuits.get_or_create(&1);
    for _ in 0..120 {
        pass(&circuits, SECOND).await;
        drop((circuits.get(&1), circuits.list()));
    }
    assert!(circuits.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_stays_until_its_wait_has_elapsed_and_is_dropped_if_nobody_asks_it() {
    let circuits = circuits();
    circuits.get_or_create(&1).trip();
    pass(&circuits, IDLE * 3 / 2).await;
    assert_eq!(circuits.get(&1).unwrap().state(), State::Open);
    pass(&circuits, IDLE * 2).await;
    assert!(circuits.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_idle_time_of_an_open_circuit_begins_when_its_wait_has_elapsed() {
    let template = crate::template().open_duration(IDLE * 2);
    let circuits = CircuitBreakerRegistry::builder(template).idle_timeout(IDLE).build().unwrap();
    circuits.get_or_create(&1).trip();
    pass(&circuits, IDLE * 3 - SECOND).await;
    assert!(circuits.get(&1).is_some());
    pass(&circuits, SECOND).await;
    assert!(circuits.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_with_a_long_wait_stays() {
    let template = crate::template(); // opens for an hour
    let circuits = CircuitBreakerRegistry::builder(template).idle_timeout(IDLE).build().unwrap();
    circuits.get_or_create(&1).trip();
    pass(&circuits, HOUR - SECOND).await;
    assert_eq!(circuits.get(&1).unwrap().state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_that_nobody_asks_is_dropped() {
    let circuits = circuits();
    let breaker = circuits.get_or_create(&1);
    breaker.force_open();
    breaker.resume();
    drop(breaker);
    pass(&circuits, IDLE * 2).await;
    assert!(circuits.is_empty());
}

#[tokio::test(start_paused = true)]
async fn circuits_in_use_and_circuits_that_an_operator_holds_stay() {
    let circuits = circuits();
    circuits.get_or_create(&1).force_open();
    circuits.get_or_create(&2).force_closed();
    let permit = circuits.get_or_create(&3).try_acquire().unwrap();
    let handle = circuits.get_or_create(&4);
    pass(&circuits, HOUR).await;
    assert_eq!(circuits.len(), 4);

    circuits.get(&1).unwrap().reset(); // still forced
    circuits.get(&2).unwrap().resume();
    permit.success();
    drop(handle);
    pass(&circuits, IDLE - SECOND).await;
    assert_eq!(circuits.len(), 4, "they were in use a moment ago");
    pass(&circuits, IDLE + SECOND).await;
    assert_eq!(circuits.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_an_operator_holds_for_a_time_stays_until_that_is_over() {
    let circuits = circuits();
    circuits.get_or_create(&1).force_open_for(HOUR);
    circuits.get_or_create(&2).force_closed_for(HOUR);
    pass(&circuits, HOUR - SECOND).await;
    assert_eq!(circuits.len(), 2);
    pass(&circuits, IDLE * 2).await;
    assert!(circuits.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_circuit_with_a_probe_in_flight_stays() {
    let template = crate::template().open_duration(IDLE);
    let template = template.half_open(HalfOpen::consecutive_successes(1)).probe_timeout(HOUR * 2);
    let circuits = CircuitBreakerRegistry::builder(template).idle_timeout(IDLE).build().unwrap();
    circuits.try_acquire(&1).unwrap().failure();
    advance(IDLE).await;
    let probe = circuits.try_acquire(&1).expect("the open wait has elapsed");
    pass(&circuits, HOUR).await;
    probe.success();
    let state = circuits.get(&1).map(|breaker| breaker.state());
    assert_eq!(state, Some(State::Closed), "the probe decided");
}
