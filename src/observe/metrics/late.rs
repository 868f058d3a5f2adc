//! [`Late`]: a series that begins when there is something to show.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use ::metrics::{Counter, Gauge};

use super::names::{Found, Labels, Metric, Registrar};
use crate::circuit::catch_panic;

/// A series that begins when there is something to show. Most circuits are never operated by hand, for
/// example, and have no series for that.
///
/// Only a thread that has the recorder can begin a series. What other threads add waits until then.
pub(super) struct Late<T> {
    metric: Metric,
    labels: Box<Labels>,
    handle: OnceLock<T>,
    waiting: AtomicI64,
}

impl<T: Handle> Late<T> {
    pub(super) fn new(metric: Metric, labels: &Labels) -> Self {
        Self { metric, labels: labels.into(), handle: OnceLock::new(), waiting: AtomicI64::new(0) }
    }

    /// Adds `n`, which may be zero, and begins the series if it has not begun yet.
    pub(super) fn add(&self, n: i64, to: &Registrar) {
        match self.get_or_begin(to) {
            Some(handle) => handle.add(n + self.take_waiting()),
            None => _ = self.waiting.fetch_add(n, Ordering::Relaxed),
        }
    }

    /// Begins the series if something waits for that.
    pub(super) fn add_waiting(&self, to: &Registrar) {
        if self.is_waiting() {
            self.add(0, to);
        }
    }

    fn take_waiting(&self) -> i64 {
        if self.is_waiting() { self.waiting.swap(0, Ordering::Relaxed) } else { 0 }
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

    fn get_or_begin(&self, to: &Registrar) -> Option<&T> {
        // The recorder is user code, so it does not run within `get_or_init`, where it would block other
        // threads. Registering twice has no further effect.
        self.handle.get().or_else(|| {
            let handle = to.find_recorder(|found| T::register(found, self.metric, &self.labels))?;
            Some(self.handle.get_or_init(|| handle))
        })
    }
}

impl<T> Drop for Late<T> {
    /// A handle is user code, and may panic when it is dropped.
    fn drop(&mut self) {
        let handle = self.handle.take();
        catch_panic(|| drop(handle));
    }
}

impl Late<Gauge> {
    /// Shows a value, which begins the series.
    pub(super) fn set(&self, value: f64, to: &Registrar) {
        if let Some(gauge) = self.get_or_begin(to) {
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

/// A handle to whose value something can be added.
pub(super) trait Handle {
    fn register(found: &Found<'_>, metric: Metric, labels: &Labels) -> Self;

    fn add(&self, n: i64);
}

impl Handle for Counter {
    fn register(found: &Found<'_>, metric: Metric, labels: &Labels) -> Self {
        found.counter(metric, labels)
    }

    fn add(&self, n: i64) {
        self.increment(n.unsigned_abs());
    }
}

impl Handle for Gauge {
    fn register(found: &Found<'_>, metric: Metric, labels: &Labels) -> Self {
        found.gauge(metric, labels)
    }

    fn add(&self, n: i64) {
        self.increment(n as f64);
    }
}
