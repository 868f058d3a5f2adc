//! [`Link`]: a reference that threads follow without a lock, and without writing to memory that they share.

#[cfg(not(tower_breaker_loom))]
pub(super) use std::sync::Arc;

#[cfg(not(tower_breaker_loom))]
pub(super) use arc_swap::ArcSwapOption as Link;

#[cfg(tower_breaker_loom)]
pub(super) use loom::sync::Arc;

#[cfg(tower_breaker_loom)]
pub(super) use self::model::Link;

/// The model checker does not see what happens inside of [`arc_swap`], so a lock takes its place.
#[cfg(tower_breaker_loom)]
mod model {
    use super::Arc;
    use crate::circuit::sync::{Mutex, lock};

    pub(in crate::keyed) struct Link<T>(Mutex<Option<Arc<T>>>);

    impl<T> Link<T> {
        pub(in crate::keyed) fn empty() -> Self {
            Self(Mutex::new(None))
        }

        pub(in crate::keyed) fn load(&self) -> Box<Option<Arc<T>>> {
            Box::new(self.load_full())
        }

        pub(in crate::keyed) fn load_full(&self) -> Option<Arc<T>> {
            lock(&self.0).clone()
        }

        pub(in crate::keyed) fn store(&self, target: Option<Arc<T>>) {
            drop(self.swap(target));
        }

        pub(in crate::keyed) fn swap(&self, target: Option<Arc<T>>) -> Option<Arc<T>> {
            std::mem::replace(&mut *lock(&self.0), target)
        }
    }
}
