//! What the models in `tests/loom.rs` decide for the crate: the time, and which stripe a thread uses.

use std::cell::Cell;
use std::time::Duration;

use crate::machine::{Tick, nanos};

thread_local! {
    /// All threads of a model are one thread of the system, and each model runs in its own.
    static SINCE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

loom::thread_local! {
    static STRIPE: Cell<usize> = Cell::new(0);
}

/// Sets the clock to this long after the beginning of the model. Time passes only by this.
pub fn set_time(since: Duration) {
    SINCE.set(since);
}

/// Lets the current thread count in this stripe. By default all threads use the first one, where they can
/// disturb each other most.
pub fn use_stripe(stripe: usize) {
    STRIPE.with(|own| own.set(stripe));
}

pub(super) fn now(beginning: Tick) -> Tick {
    beginning + nanos(SINCE.get())
}

pub(crate) fn own_stripe() -> usize {
    STRIPE.with(Cell::get)
}
