//! Replaces the metrics if the feature `metrics` is off. It does nothing.

use std::sync::Arc;

use super::{EventKind, Interest};
use crate::circuit::Watches;
use crate::machine::{Change, Machine, Tick};

#[derive(Clone)]
pub(crate) struct Series;

impl Series {
    pub(crate) fn new(_: Arc<str>) -> Self {
        Self
    }
}

#[cfg(feature = "keyed")]
pub(super) struct RegistryMetrics;

#[cfg(feature = "keyed")]
impl RegistryMetrics {
    pub(super) fn new(_: Series, _: u64) -> Arc<Self> {
        Arc::new(Self)
    }

    pub(super) fn resized(&self, _: i64) {}

    pub(super) fn call_unkept(&self) {}

    pub(super) fn stop(&self) {}
}

pub(super) struct Metrics;

impl Metrics {
    pub(super) fn new(_: Series, _: &Arc<str>) -> Self {
        Self
    }

    pub(super) fn interest(&self) -> Option<Interest> {
        None
    }

    pub(super) fn watches(&self) -> Watches {
        Watches::Nothing
    }

    pub(super) fn record(&self, _: &Change) {}

    #[inline]
    pub(super) fn read(&self, _: &Machine, _: Tick) {}

    pub(super) fn stop(&self) {}

    #[inline]
    pub(super) fn publish(&self) {}

    pub(super) fn calls_succeeded(&self, _: u64) {}

    #[inline]
    pub(super) fn on_event(&self, _: EventKind<'_>) {}
}
