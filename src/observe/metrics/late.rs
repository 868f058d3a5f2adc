//! [`Late`]: a series that begins when there is something to show.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use ::metrics::{Counter, Gauge};

use super::names::{Found, Registrar};

/// A series that begins when there is something to show. Most circuits are never operated by hand, for
/// example, and have no series for that.
///
/// Only a thread that has the recorder can begin a series. What other threads add waits until then.
pub(super) struct Late<T> {
    handle: OnceLock<T>,
    waiting: AtomicI64,
}

impl<T> Default for Late<T> {
    fn default() -> Self {
        Self { handle: OnceLock::new(), waiting: AtomicI64::new(0) }
    }
}

impl<T: Add> Late<T> {
    /// Adds `n`, which may be zero, and begins the series if it has not begun yet.
    pub(super) fn add(&self, n: i64, to: &Registrar, register: impl FnOnce(&Found<'_>) -> T) {
        match self.get_or_begin(to, register) {
            Some(handle) => handle.add(n + self.waiting.swap(0, Ordering::Relaxed)),
            None => _ = self.waiting.fetch_add(n, Ordering::Relaxed),
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }

    /// Tells the recorder that the series is still in use, if it has begun.
    pub(super) fn keep(&self) {
        if let Some(handle) = self.handle.get() {
            handle.add(0);
        }
    }
}

impl Late<Gauge> {
    /// Shows a value, which begins the series.
    pub(super) fn set(
        &self,
        value: f64,
        to: &Registrar,
        register: impl FnOnce(&Found<'_>) -> Gauge,
    ) {
        if let Some(gauge) = self.get_or_begin(to, register) {
            gauge.set(value);
        }
    }

    /// Shows a value if the series has begun.
    pub(super) fn set_if_begun(&self, value: f64) {
        if let Some(gauge) = self.handle.get() {
            gauge.set(value);
        }
    }
}

impl<T> Late<T> {
    fn get_or_begin(&self, to: &Registrar, register: impl FnOnce(&Found<'_>) -> T) -> Option<&T> {
        // The recorder is user code, so it does not run within `get_or_init`, where it would block other
        // threads. Registering twice has no further effect.
        self.handle.get().or_else(|| {
            let handle = to.find_recorder(register)?;
            Some(self.handle.get_or_init(|| handle))
        })
    }
}

/// A handle to whose value something can be added.
pub(super) trait Add {
    fn add(&self, n: i64);
}

impl Add for Counter {
    fn add(&self, n: i64) {
        self.increment(n.unsigned_abs());
    }
}

impl Add for Gauge {
    fn add(&self, n: i64) {
        self.increment(n as f64);
    }
}
