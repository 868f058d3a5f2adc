//! [`Watchers`]: those who follow circuits that they have not built.

use std::sync::{Arc, Weak};

use super::event::Event;
use crate::circuit::Name;
use crate::circuit::sync::{AtomicU64, Mutex, Ordering, lock};

/// Follows what happens to circuits in order: what a [listener](crate::Listener) with an interest in
/// [transitions](crate::Interest::Transitions) receives. It runs no user code.
pub(crate) trait Watcher: Send + Sync {
    /// `circuit` is the same pointer for as long as the circuit exists.
    fn on_event(&self, circuit: &Name, event: &Event<'_>);
}

#[derive(Default)]
pub(super) struct Watchers {
    /// 1 once there has been one, so that a circuit that was never watched takes no lock.
    were_there: AtomicU64,
    watchers: Mutex<Vec<Weak<dyn Watcher>>>,
}

impl Watchers {
    pub(super) fn add(&self, watcher: Weak<dyn Watcher>) {
        let mut watchers = lock(&self.watchers);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(watcher);
        drop(watchers);
        self.were_there.store(1, Ordering::Release);
    }

    pub(super) fn were_there(&self) -> bool {
        self.were_there.load(Ordering::Acquire) == 1
    }

    pub(super) fn notify(&self, circuit: &Name, event: &Event<'_>) {
        if self.were_there() {
            let watchers: Vec<Arc<dyn Watcher>> =
                lock(&self.watchers).iter().filter_map(Weak::upgrade).collect();
            watchers.iter().for_each(|watcher| watcher.on_event(circuit, event));
        }
    }
}
