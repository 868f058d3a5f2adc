//! [`Notifying`]: whether the current thread is notifying.

use std::cell::Cell;

#[cfg(not(tower_breaker_loom))]
thread_local! {
    static IS_NOTIFYING: Cell<bool> = const { Cell::new(false) };
}

#[cfg(tower_breaker_loom)]
loom::thread_local! {
    static IS_NOTIFYING: Cell<bool> = Cell::new(false);
}

/// The current thread is notifying: it is in a listener, or in the waker of a subscriber.
///
/// What user code does to single calls there is not reported, because a listener that makes a call for every
/// call would never come to an end.
pub(super) struct Notifying {
    was_notifying: bool,
}

impl Notifying {
    pub(super) fn begin() -> Self {
        Self { was_notifying: IS_NOTIFYING.with(|flag| flag.replace(true)) }
    }

    pub(super) fn is_this_thread() -> bool {
        IS_NOTIFYING.with(Cell::get)
    }
}

impl Drop for Notifying {
    fn drop(&mut self) {
        IS_NOTIFYING.with(|flag| flag.set(self.was_notifying));
    }
}
