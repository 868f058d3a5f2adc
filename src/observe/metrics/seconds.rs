//! [`Seconds`]: the counter of the time in a state.

use ::metrics::Counter;

use super::names::{Found, STATE_SECONDS};
use crate::circuit::sync::{Mutex, lock};
use crate::machine::{Nanos, State};

const NANOS_PER_SECOND: Nanos = 1_000_000_000;

/// Counters are whole numbers, so the fraction of a second waits here until it is part of a whole one.
pub(super) struct Seconds {
    counter: Counter,
    fraction: Mutex<Nanos>,
}

impl Seconds {
    pub(super) fn new(found: &Found<'_>, state: State) -> Self {
        let counter = found.counter(STATE_SECONDS, &[("state", state.name())]);
        Self { counter, fraction: Mutex::new(0) }
    }

    pub(super) fn add(&self, nanos: Nanos) {
        if nanos == 0 {
            return;
        }
        let whole = {
            let mut fraction = lock(&self.fraction);
            let sum = fraction.saturating_add(nanos);
            *fraction = sum % NANOS_PER_SECOND;
            sum / NANOS_PER_SECOND
        };
        self.counter.increment(whole);
    }

    /// Tells the recorder that the series is still in use.
    pub(super) fn keep(&self) {
        self.counter.increment(0);
    }
}
