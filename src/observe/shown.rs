//! [`Shown`]: what is counted of a circuit from when somebody shows it to people.

use crate::circuit::sync::{AtomicU64, Ordering};

/// The rejections since the circuit was first shown. Calls that are admitted do not come here.
#[derive(Default)]
pub(super) struct Shown {
    is_shown: AtomicU64,
    rejections: AtomicU64,
}

impl Shown {
    /// Begins to count, unless that has begun. Returns the number so far.
    pub(super) fn rejections(&self) -> u64 {
        self.is_shown.store(1, Ordering::Relaxed);
        self.rejections.load(Ordering::Relaxed)
    }

    pub(super) fn count_rejection(&self) {
        if self.is_shown.load(Ordering::Relaxed) == 1 {
            self.rejections.fetch_add(1, Ordering::Relaxed);
        }
    }
}
