//! [`OwnStripe`]: which stripe the current thread counts in.

#[cfg(not(tower_breaker_loom))]
mod lease;

use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::thread::available_parallelism;

/// The number of stripes: one for each core, up to 16, rounded up to a power of two.
pub(super) static STRIPES: LazyLock<usize> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let cores = if cfg!(tower_breaker_loom) { 2 } else { cores };
    cores.min(MOST).next_power_of_two()
});

const MOST: usize = 16;

/// The stripe in which the current thread counts, in every circuit.
#[derive(Clone, Copy)]
pub(super) struct OwnStripe {
    /// Less than [`STRIPES`].
    pub(super) index: usize,
    /// Whether no other thread that says this has the same stripe. Threads that do not say it may share it.
    pub(super) is_alone: bool,
}

impl OwnStripe {
    #[cfg(not(tower_breaker_loom))]
    #[inline]
    pub(super) fn get() -> Self {
        lease::own_stripe()
    }

    #[cfg(tower_breaker_loom)]
    pub(super) fn get() -> Self {
        let (index, is_alone) = super::model::own_stripe();
        Self { index, is_alone }
    }
}
