//! Atomics and locks. The crate takes them from here only, so that a model checker can replace them: with
//! `--cfg tower_breaker_loom` they are loom's.

#[cfg(not(tower_breaker_loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

#[cfg(tower_breaker_loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

#[cfg(all(feature = "keyed", not(tower_breaker_loom)))]
pub(crate) use std::sync::atomic::{AtomicU8, fence};

#[cfg(all(feature = "keyed", tower_breaker_loom))]
pub(crate) use loom::sync::atomic::{AtomicU8, fence};

use std::sync::PoisonError;
use std::time::Duration;

/// Writes the value only if it is new, so that the cores that read it keep their copy of the cache line.
pub(super) fn update(atomic: &AtomicU64, value: u64) {
    if atomic.load(Ordering::Relaxed) != value {
        atomic.store(value, Ordering::Release);
    }
}

/// Locks a mutex even if another thread has panicked while it held the lock. No user code runs under such
/// a lock, and the data behind it is changed only in ways that leave it usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Releases the lock and waits, for `patience` at most, until `condition` no longer holds. A thread
/// that changes the condition has to notify the condition variable.
#[cfg(not(tower_breaker_loom))]
pub(crate) fn wait_while<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    patience: Duration,
    condition: impl Fn(&T) -> bool,
) -> MutexGuard<'a, T> {
    let waited = condvar.wait_timeout_while(guard, patience, |value| condition(value));
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// In a model, the wait never times out.
#[cfg(tower_breaker_loom)]
pub(crate) fn wait_while<'a, T>(
    condvar: &Condvar,
    mut guard: MutexGuard<'a, T>,
    _patience: Duration,
    condition: impl Fn(&T) -> bool,
) -> MutexGuard<'a, T> {
    while condition(&guard) {
        guard = condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    guard
}

#[cfg(test)]
mod tests;
