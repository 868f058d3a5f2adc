//! Where circuits live: in memory that is reused but never freed.
//!
//! A permit refers to its circuit without counting the reference, because two atomic read-modify-writes
//! on a counter that all cores share would cost more than everything else that a call does. So the
//! circuit has to outlive every permit. It does, because it is never freed: when the last handle to a
//! breaker is dropped, its circuit goes into the pool, for the next breaker that is built. The permits of
//! the former breaker do not affect the new one. No ticket is given twice, so their results are stale, as
//! after any transition.
//!
//! The circuits of a registry count their calls in flight, because the registry must not drop them
//! meanwhile. Such a circuit goes into the pool when the last of these calls has ended, so the next
//! breaker never counts them.
//!
//! A process therefore keeps as many circuits as it has ever had at one time. What belongs to a breaker,
//! such as its window, its name and its listeners, is freed with the breaker.

use super::Circuit;

#[cfg(not(tower_breaker_loom))]
static FREE: std::sync::Mutex<Vec<&'static Circuit>> = std::sync::Mutex::new(Vec::new());

#[cfg(not(tower_breaker_loom))]
pub(crate) fn take() -> &'static Circuit {
    let free = super::sync::lock(&FREE).pop();
    free.unwrap_or_else(make)
}

#[cfg(not(tower_breaker_loom))]
fn make() -> &'static Circuit {
    let circuit: &'static Circuit = Box::leak(Box::new(Circuit::new()));
    #[cfg(feature = "metrics")]
    super::sync::lock(&ALL).push(circuit);
    circuit
}

/// Takes back a circuit that has stopped and is no longer needed.
#[cfg(not(tower_breaker_loom))]
pub(crate) fn put(circuit: &'static Circuit) {
    super::sync::lock(&FREE).push(circuit);
}

#[cfg(all(feature = "metrics", not(tower_breaker_loom)))]
static ALL: std::sync::Mutex<Vec<&'static Circuit>> = std::sync::Mutex::new(Vec::new());

/// Returns all circuits, whether they work for a breaker or not.
#[cfg(all(feature = "metrics", not(tower_breaker_loom)))]
pub(crate) fn all() -> Vec<&'static Circuit> {
    super::sync::lock(&ALL).clone()
}

/// In a model, every run starts without circuits.
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
