//! What is wrong with a breaker.

use std::sync::{Mutex, PoisonError};

/// More of one kind would say nothing new.
const ENOUGH: usize = 3;

/// What is checked of every call and of every half-open period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Once,
    Places,
    Decides,
    Wedged,
    Panics,
}

impl Check {
    pub(crate) const ALL: [(Self, &str); 5] = [
        (Self::Once, "every call was made and settled once, or rejected"),
        (Self::Places, "no half-open period admitted more probes than permitted"),
        (Self::Decides, "only the probes of a half-open period decided it"),
        (Self::Wedged, "every probe and every call ended in time, and no place was lost"),
        (Self::Panics, "nothing panicked by itself"),
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
