//! When the circuit of a key returns to the pool.

use std::ptr;

use crate::CircuitBreaker;

fn others() -> Vec<CircuitBreaker> {
    (0..20).map(|_| CircuitBreaker::new("other")).collect()
}

#[test]
fn a_circuit_is_not_reused_while_it_has_a_call_in_flight() {
    let template = CircuitBreaker::builder("keyed").into_template().unwrap();
    let breaker = template.start(&7, &template.current());
    let circuit = breaker.circuit();
    let permit = breaker.try_acquire().unwrap();
    drop(breaker);
    assert!(others().iter().all(|other| !ptr::eq(other.circuit(), circuit)));
    permit.failure();
}

#[test]
fn a_circuit_is_not_reused_while_it_has_a_probe_in_flight() {
    let template = CircuitBreaker::builder("keyed").into_template().unwrap();
    let breaker = template.start(&7, &template.current());
    let circuit = breaker.circuit();
    breaker.force_open();
    breaker.resume();
    let probe = breaker.try_acquire().unwrap();
    drop(breaker);
    assert!(others().iter().all(|other| !ptr::eq(other.circuit(), circuit)));
    probe.failure();
}
