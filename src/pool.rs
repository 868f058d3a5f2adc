//! Where circuits live: in memory that is used again but never given back.
//!
//! A permit refers to its circuit without counting the reference, because two atomic
//! read-modify-writes on a counter that all cores share would cost more than everything else that a
//! call does. So the circuit must outlive every permit. It does, because it is never freed: when the
//! last handle to a breaker goes, its circuit goes into the pool, for the next breaker that is built.
//! Permits of the former breaker do no harm to the new one, because tickets are never given twice:
//! their results are stale, as after any transition.
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

/// Takes back a circuit that has stopped.
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
