//! What has been counted: calls by kind, and the current failure streak.

/// The number of calls, and how many of them failed or were slow. A slow failure counts as both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

impl Counts {
    pub(crate) fn record(&mut self, failed: bool, slow: bool) {
        self.calls += 1;
        self.failures += u64::from(failed);
        self.slow += u64::from(slow);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.slow += other.slow;
    }

    pub(super) fn subtract(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failures -= other.failures;
        self.slow -= other.slow;
    }
}

/// Everything that the trip rules look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    /// The number of consecutive failures up to now.
    pub(crate) streak: u64,
    /// The number of calls that have hung since the last success, which continue the streak.
    pub(crate) hung: u64,
    /// How many of the counted calls are in flight.
    pub(crate) in_flight: u64,
}

impl Tally {
    pub(super) fn record(&mut self, failed: bool, slow: bool) {
        self.counts.record(failed, slow);
        self.streak = if failed { self.streak + 1 } else { 0 };
    }
}
