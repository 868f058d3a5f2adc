//! Errors that were found in a breaker.

use std::sync::{Mutex, PoisonError};

/// The number of findings of one kind that are kept.
const ENOUGH: usize = 3;

/// What is checked for every call and for every half-open period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Once,
    Slots,
    Decides,
    Stuck,
    Panics,
}

impl Check {
    pub(crate) const ALL: [(Self, &str); 5] = [
        (Self::Once, "every call was made and settled once, or rejected"),
        (Self::Slots, "no half-open period admitted more probes than permitted"),
        (Self::Decides, "only the probes of a half-open period decided it"),
        (Self::Stuck, "every probe and every call ended in time, and no probe slot was lost"),
        (Self::Panics, "there were no panics except those on purpose"),
    ];
}

#[derive(Default)]
pub(crate) struct Findings(Mutex<Vec<(Check, String)>>);

impl Findings {
    pub(crate) fn add(&self, check: Check, what: String) {
        let mut findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.iter().filter(|(other, _)| *other == check).count() < ENOUGH {
            findings.push((check, what));
        }
    }

    pub(crate) fn of(&self, check: Check) -> Vec<String> {
        let findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let findings = findings.iter().filter(|(other, _)| *other == check);
        findings.map(|(_, what)| what.clone()).collect()
    }
}
