//! Calls that hang count for the circuit of their key.

use std::time::Duration;

use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{Cause, CircuitBreaker, Permit, State};

#[tokio::test(start_paused = true)]
async fn calls_that_hang_open_the_circuit_of_their_key_only() {
    let template =
        CircuitBreaker::builder("keyed").consecutive_failures(3).hung_after(Duration::from_secs(2));
    let circuits: CircuitBreakerRegistry<u32> =
        CircuitBreakerRegistry::builder(template).capacity(100).build().unwrap();
    let calls =
        |key: u32| -> Vec<Permit> { (0..3).map(|_| circuits.try_acquire(&key).unwrap()).collect() };
    let hanging = calls(1);
    calls(2).into_iter().for_each(Permit::success);
    tokio::time::advance(Duration::from_millis(2500)).await;
    circuits.try_acquire(&1).unwrap_err();
    circuits.try_acquire(&2).unwrap().success();
    let snapshot = circuits.get(&1).unwrap().snapshot();
    assert_eq!(snapshot.cause(), Some(Cause::Hung { in_flight: 3, limit: 3 }));
    assert_eq!(circuits.get(&2).unwrap().state(), State::Closed);
    hanging.into_iter().for_each(Permit::success); // too late to count
    assert_eq!(circuits.get(&1).unwrap().state(), State::Open);
}
