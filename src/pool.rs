//! Where circuits live: in memory that is used again but never given back.
//!
//! A permit refers to its circuit without counting the reference, because two atomic
//! read-modify-writes on a counter that all cores share would cost more than everything else that a
//! call does. So the circuit must outlive every permit. It does, because it is never freed: when the
//! last handle to a breaker goes, its circuit goes into the pool, for the next breaker that is built.
//! Permits of the former breaker do no harm to the new one, because tickets are never given twice:
//! their results are stale, as after any transition.
//!
//! The circuits of a registry do count their calls in flight, because they are not to be dropped from
//! it meanwhile. Such a circuit goes into the pool when the last of them has ended: so the count of the
//! next breaker is none of theirs.
//!
//! So a process keeps as many circuits as it has ever had at a time, but none of what is theirs:
//! windows, names and listeners go with the breaker.

use crate::circuit::Circuit;

#[cfg(not(tower_breaker_loom))]
static FREE: std::sync::Mutex<Vec<&'static Circuit>> = std::sync::Mutex::new(Vec::new());

#[cfg(not(tower_breaker_loom))]
pub(crate) fn take() -> &'static Circuit {
    let free = crate::sync::lock(&FREE).pop();
    free.unwrap_or_else(make)
}

#[cfg(not(tower_breaker_loom))]
fn make() -> &'static Circuit {
    let circuit: &'static Circuit = Box::leak(Box::new(Circuit::new()));
    #[cfg(feature = "metrics")]
    crate::sync::lock(&ALL).push(circuit);
    circuit
}

/// Takes back a circuit that has stopped and that nobody needs any more.
#[cfg(not(tower_breaker_loom))]
pub(crate) fn put(circuit: &'static Circuit) {
    crate::sync::lock(&FREE).push(circuit);
}

#[cfg(all(feature = "metrics", not(tower_breaker_loom)))]
static ALL: std::sync::Mutex<Vec<&'static Circuit>> = std::sync::Mutex::new(Vec::new());

/// All circuits, with a breaker or without.
#[cfg(all(feature = "metrics", not(tower_breaker_loom)))]
pub(crate) fn all() -> Vec<&'static Circuit> {
    crate::sync::lock(&ALL).clone()
}

/// In a model every run starts from nothing.
#[cfg(tower_breaker_loom)]
pub(crate) fn take() -> &'static Circuit {
    Box::leak(Box::new(Circuit::new()))
}

#[cfg(tower_breaker_loom)]
pub(crate) fn put(_: &'static Circuit) {}

#[cfg(all(feature = "metrics", tower_breaker_loom))]
pub(crate) fn all() -> Vec<&'static Circuit> {
    Vec::new()
}

#[cfg(all(test, feature = "keyed", not(tower_breaker_loom)))]
mod tests {
    use std::ptr;

    use crate::CircuitBreaker;

    #[test]
    fn a_circuit_is_not_used_again_while_a_call_that_it_counts_is_in_flight() {
        let breaker = CircuitBreaker::builder("keyed").for_key(&7).build().unwrap();
        let circuit = breaker.circuit();
        let permit = breaker.try_acquire().unwrap();
        drop(breaker);

        let others: Vec<_> = (0..20).map(|_| CircuitBreaker::new("other")).collect();
        assert!(others.iter().all(|other| !ptr::eq(other.circuit(), circuit)));
        permit.failure();
    }
}
