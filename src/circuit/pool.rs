//! Where circuits live: in memory that is reused but never freed.
//!
//! A permit refers to its circuit without counting the reference, because two atomic read-modify-writes
//! on a counter that all cores share would cost more than everything else that a call does. So the
//! circuit has to outlive every permit. It does, because it is never freed: when the last handle to a
//! breaker is dropped, its circuit goes into the pool, for the next breaker that is built. The permits of
//! the former breaker do not affect the new one. No ticket is given twice, so their results are
//! stale, as after any transition.
//!
//! The circuits of a registry count their calls in flight, because the registry must not drop them
//! meanwhile. Such a circuit is not used again before the last of these calls has ended, so the next
//! breaker never counts them.
//!
//! A process therefore keeps as many circuits as it has ever had at one time. What belongs to a breaker,
//! such as its window, its name and its listeners, is freed with the breaker.

use std::collections::VecDeque;

use super::Circuit;
use super::sync::{Mutex, lock};

/// At how many circuits with calls in flight a new breaker looks, before a new circuit is made for it.
const MOST_LOOKS: usize = 8;

struct Pool {
    free: Vec<&'static Circuit>,
    /// Circuits that had calls in flight when they were looked at last.
    draining: VecDeque<&'static Circuit>,
    #[cfg(feature = "metrics")]
    all: Vec<&'static Circuit>,
}

impl Pool {
    const fn new() -> Self {
        Self {
            free: Vec::new(),
            draining: VecDeque::new(),
            #[cfg(feature = "metrics")]
            all: Vec::new(),
        }
    }
}

#[cfg(not(tower_breaker_loom))]
static POOL: Mutex<Pool> = Mutex::new(Pool::new());

// In a model, every run starts with an empty pool.
#[cfg(tower_breaker_loom)]
loom::lazy_static! {
    static ref POOL: Mutex<Pool> = Mutex::new(Pool::new());
}

fn pool() -> &'static Mutex<Pool> {
    &POOL
}

pub(crate) fn take() -> &'static Circuit {
    let reused = lock(pool()).take();
    reused.unwrap_or_else(make)
}

impl Pool {
    fn take(&mut self) -> Option<&'static Circuit> {
        self.free.pop().or_else(|| {
            let looks = self.draining.len().min(MOST_LOOKS);
            (0..looks).find_map(|_| {
                let circuit = self.draining.pop_front()?;
                if circuit.is_drained() {
                    return Some(circuit);
                }
                self.draining.push_back(circuit);
                None
            })
        })
    }
}

fn make() -> &'static Circuit {
    let circuit: &'static Circuit = Box::leak(Box::new(Circuit::new()));
    #[cfg(feature = "metrics")]
    lock(pool()).all.push(circuit);
    circuit
}

/// Takes back a circuit that has stopped.
pub(crate) fn put(circuit: &'static Circuit) {
    let mut pool = lock(pool());
    if circuit.is_drained() {
        pool.free.push(circuit);
    } else {
        pool.draining.push_back(circuit);
    }
}

/// Returns all circuits, whether they work for a breaker or not.
#[cfg(feature = "metrics")]
pub(crate) fn all() -> Vec<&'static Circuit> {
    lock(pool()).all.clone()
}
