//! Takes the place of the metrics if the feature is off. It does nothing.

use std::sync::Arc;

use super::{EventKind, Interest};
use crate::machine::{Change, Machine, Tick};

#[derive(Clone)]
pub(crate) struct Series;

impl Series {
    pub(crate) fn new(_: Arc<str>) -> Self {
        Self
    }
}

pub(super) struct Metrics;

impl Metrics {
    pub(super) fn new(_: Series, _: &Arc<str>) -> Self {
        Self
    }

    pub(super) fn interest(&self) -> Option<Interest> {
        None
    }

    pub(super) fn record(&self, _: &Change) {}

    #[inline]
    pub(super) fn read(&self, _: &Machine, _: Tick) {}

    pub(super) fn stop(&self) {}

    #[inline]
    pub(super) fn publish(&self) {}

    #[inline]
    pub(super) fn on_event(&self, _: EventKind<'_>) {}
}
