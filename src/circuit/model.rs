//! What the models in `tests/loom.rs` decide for the crate: the time, and which stripe a thread uses.

use std::cell::Cell;
use std::time::Duration;

use crate::machine::{Tick, nanos};

thread_local! {
    /// All threads of a model are one thread of the system, and each model runs in its own.
    static SINCE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

loom::thread_local! {
    /// The stripe of the thread, and whether the thread has it to itself.
    static STRIPE: Cell<(usize, bool)> = Cell::new((0, false));
}

/// Sets the clock to this long after the beginning of the model. Time passes only by this.
pub fn set_time(since: Duration) {
    SINCE.set(since);
}

/// Lets the current thread count in this stripe, together with others. By default all threads share the first
/// one, where they can disturb each other most.
pub fn use_stripe(index: usize) {
    STRIPE.with(|own| own.set((index, false)));
}

/// Gives the current thread this stripe to itself.
pub fn lease_stripe(index: usize) {
    STRIPE.with(|own| own.set((index, true)));
}

pub(super) fn now(beginning: Tick) -> Tick {
    beginning + nanos(SINCE.get())
}

pub(super) fn own_stripe() -> (usize, bool) {
    STRIPE.with(Cell::get)
}
