//! [`RegistryObserver`]: what a registry of circuits reports about itself.

use std::sync::Arc;

use super::audience::Audience;
use super::event::EventKind;
#[cfg(feature = "metrics")]
use super::metrics::{RegistryMetrics, Series};
#[cfg(not(feature = "metrics"))]
use super::no_metrics::{RegistryMetrics, Series};
use super::notifying::Notifying;
use crate::circuit::sync::{Mutex, lock};
use crate::machine::{Nanos, Tick};

/// Reports how many circuits a registry keeps, and that it has no capacity left.
pub(crate) struct RegistryObserver {
    name: Arc<str>,
    audience: Arc<Audience>,
    metrics: Arc<RegistryMetrics>,
    capacity: u64,
    unreported: Mutex<Unreported>,
}

/// What the next [`EventKind::RegistryFull`] will report.
#[derive(Default)]
struct Unreported {
    unkept_calls: u64,
    /// When the event may come.
    due: Tick,
}

/// The shortest time between two reports.
const INTERVAL: Nanos = 60_000_000_000;

impl RegistryObserver {
    pub(crate) fn new(
        name: Arc<str>,
        series: Series,
        audience: Arc<Audience>,
        capacity: u64,
    ) -> Self {
        Self {
            name,
            audience,
            metrics: RegistryMetrics::new(series, capacity),
            capacity,
            unreported: Mutex::default(),
        }
    }

    /// Notes that circuits were added or removed. Called without any lock held, possibly by several threads
    /// at once and in any order.
    pub(crate) fn resized(&self, change: i64) {
        if change != 0 {
            self.metrics.resized(change);
        }
    }

    /// Notes that a call is made through a circuit that is not kept. Called without any lock held.
    pub(crate) fn call_unkept(&self, now: Tick) {
        self.metrics.call_unkept();
        if let Some(unkept_calls) = self.take_due(now) {
            let _notifying = Notifying::begin();
            let kind = EventKind::RegistryFull { capacity: self.capacity, unkept_calls };
            self.audience.notify(&self.name, kind);
        }
    }

    /// Counts the call. Returns how many are to be reported, if a report is due.
    fn take_due(&self, now: Tick) -> Option<u64> {
        let mut unreported = lock(&self.unreported);
        unreported.unkept_calls += 1;
        if now < unreported.due {
            return None;
        }
        unreported.due = now.saturating_add(INTERVAL);
        Some(std::mem::take(&mut unreported.unkept_calls))
    }
}

impl Drop for RegistryObserver {
    fn drop(&mut self) {
        self.metrics.stop();
        self.audience.wake();
    }
}
