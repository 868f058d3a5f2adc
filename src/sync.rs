//! The one door to atomics and locks, so that a model checker can stand behind it: with
//! `--cfg tower_breaker_loom` they are loom's.

#[cfg(not(tower_breaker_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

#[cfg(tower_breaker_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

// Models know no registry.
#[cfg(feature = "keyed")]
pub(crate) use std::sync::{
    RwLock,
    atomic::{AtomicBool, fence},
};

use std::sync::PoisonError;
#[cfg(feature = "keyed")]
use std::sync::{RwLockReadGuard, RwLockWriteGuard};

/// Locks, also after a panic: no user code runs under any lock of this crate, and what is behind
/// them is changed only in ways that leave it usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`lock`]. The keys of users are hashed and compared under such a lock, but that changes nothing.
#[cfg(feature = "keyed")]
#[inline]
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "keyed")]
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// A number that is the thread's own, and that threads get in turn.
#[cfg(not(tower_breaker_loom))]
#[inline]
pub(crate) fn own_stripe() -> usize {
    use std::sync::atomic::AtomicUsize;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    // While a thread ends, its number may be gone already; any will do.
    OWN.try_with(|own| *own).unwrap_or(0)
}

/// All threads of a model meet in one stripe, where they can harm one another most.
#[cfg(tower_breaker_loom)]
pub(crate) fn own_stripe() -> usize {
    0
}
