//! The latest changes of a circuit.

use std::collections::VecDeque;

use crate::machine::Change;

/// The number of changes that are kept.
const KEPT: usize = 8;

/// The latest changes, newest first. It takes no memory before the first change.
#[derive(Default)]
pub(super) struct History(VecDeque<Change>);

impl History {
    pub(super) fn record(&mut self, change: Change) {
        self.0.truncate(KEPT - 1);
        self.0.reserve_exact(KEPT - self.0.len());
        self.0.push_front(change);
    }

    /// Returns the latest changes, oldest first, followed by one that has not been recorded yet.
    pub(super) fn with(&self, unrecorded: Option<Change>) -> Vec<Change> {
        let newest_first = unrecorded.iter().chain(&self.0).take(KEPT);
        let mut changes: Vec<Change> = newest_first.copied().collect();
        changes.reverse();
        changes
    }
}
