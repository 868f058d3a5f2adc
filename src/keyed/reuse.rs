//! When the circuit of a key returns to the pool.

use std::ptr;

use crate::CircuitBreaker;

#[test]
fn a_circuit_is_not_reused_while_it_has_a_call_in_flight() {
    let breaker = CircuitBreaker::builder("keyed").for_key(&7).build().unwrap();
    let circuit = breaker.circuit();
    let permit = breaker.try_acquire().unwrap();
    drop(breaker);

    let others: Vec<_> = (0..20).map(|_| CircuitBreaker::new("other")).collect();
    assert!(others.iter().all(|other| !ptr::eq(other.circuit(), circuit)));
    permit.failure();
}
