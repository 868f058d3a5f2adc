//! [`Changes`]: wakes those who look after all circuits of a registry.

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::circuit::sync::{AtomicU64, Ordering};

/// Says that something has changed in one of the circuits of a registry, or that the registry is gone, but not what.
#[derive(Default)]
pub(crate) struct Changes {
    /// 1 once somebody has waited, so that circuits that nobody looks after pay nothing.
    were_awaited: AtomicU64,
    changed: Notify,
}

impl Changes {
    /// Waits for the next change after this call. It has to be polled with a waker that does not panic.
    pub(crate) fn next(&self) -> Notified<'_> {
        self.were_awaited.store(1, Ordering::Release);
        self.changed.notified()
    }

    pub(super) fn are_awaited(&self) -> bool {
        self.were_awaited.load(Ordering::Acquire) == 1
    }

    /// Wakes those who wait. Called without any lock held.
    pub(crate) fn notify(&self) {
        if self.are_awaited() {
            self.changed.notify_waiters();
        }
    }
}
