//! What stands in for the metrics when the feature is off: nothing.

use std::sync::Arc;

use crate::clock::Tick;
use crate::event::{EventKind, Interest};
use crate::state::Machine;
use crate::transition::Change;

#[derive(Clone)]
pub(crate) struct Service;

impl Service {
    pub(crate) fn new(_: Arc<str>) -> Self {
        Self
    }
}

pub(crate) struct Metrics;

impl Metrics {
    pub(crate) fn new(_: Service, _: &Arc<str>) -> Self {
        Self
    }

    pub(crate) fn interest(&self) -> Option<Interest> {
        None
    }

    pub(crate) fn start(&self, _: Tick) {}

    pub(crate) fn note(&self, _: &Change) {}

    #[inline]
    pub(crate) fn look(&self, _: &Machine, _: Tick) {}

    pub(crate) fn stop(&self, _: &Machine, _: impl FnOnce() -> Tick) {}

    #[inline]
    pub(crate) fn publish(&self) {}

    #[inline]
    pub(crate) fn on_event(&self, _: EventKind<'_>) {}
}
