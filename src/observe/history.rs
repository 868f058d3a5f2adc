//! The latest changes of a circuit, each with the failure that caused it if that was described.

use std::collections::VecDeque;

use super::last_failure::LastFailure;
use crate::machine::Change;

/// The number of changes that are kept.
const KEPT: usize = 8;

/// The latest changes, newest first. It takes no memory before the first change.
#[derive(Default)]
pub(super) struct History(VecDeque<Past>);

pub(super) type Past = (Change, Option<LastFailure>);

impl History {
    pub(super) fn record(&mut self, past: Past) {
        self.0.truncate(KEPT - 1);
        self.0.reserve_exact(KEPT - self.0.len());
        self.0.push_front(past);
    }

    /// Returns the latest changes, oldest first, followed by one that has not been recorded yet.
    pub(super) fn with(&self, unrecorded: Option<Change>) -> Vec<Past> {
        let unrecorded = unrecorded.map(|change| (change, None));
        let newest_first = unrecorded.iter().chain(&self.0).take(KEPT);
        let mut changes: Vec<Past> = newest_first.cloned().collect();
        changes.reverse();
        changes
    }
}
