//! Where circuits live: in memory that is used again but never given back.
//!
//! A permit refers to its circuit without counting the reference, because two atomic
//! read-modify-writes on a counter that all cores share would cost more than everything else that a
//! call does. So the circuit must outlive every permit. It does, because it is never freed: when the
//! last handle to a breaker goes, its circuit goes into the pool, for the next breaker that is built.
//! Permits of the former breaker do no harm to the new one, because tickets are never given twice:
//! their results are stale, as after any transition.
//!
//! So a process keeps as many circuits, of less than 1 KiB each, as it has ever had at a time.

use crate::circuit::Circuit;
use crate::sync::{Mutex, lock};

static FREE: Mutex<Vec<&'static Circuit>> = Mutex::new(Vec::new());

pub(crate) fn take() -> &'static Circuit {
    let free = lock(&FREE).pop();
    free.unwrap_or_else(|| Box::leak(Box::new(Circuit::new())))
}

/// Takes back a circuit that has stopped.
pub(crate) fn put(circuit: &'static Circuit) {
    lock(&FREE).push(circuit);
}
