//! How near the trip rules are to tripping the circuit.

#[cfg(feature = "metrics")]
use super::{counts::Tally, rules::Rules};

#[cfg(feature = "metrics")]
impl Rules {
    /// Returns the thresholds of consecutive failures, failure count, failure rate and slow-call rate, each
    /// `None` if the rule is off.
    pub(crate) fn thresholds(&self) -> [Option<f64>; 4] {
        let number = |limit: Option<u64>| limit.map(|limit| limit as f64);
        [
            number(self.consecutive_failures),
            number(self.failure_count),
            self.failure_rate,
            self.slow_call_rate,
        ]
    }

    /// Returns how near the same rules are to tripping the circuit, from 0.0 to 1.0.
    pub(crate) fn progress(&self, Tally { counts, streak, hung, .. }: Tally) -> [Option<f64>; 4] {
        let rate = |n, threshold: Option<f64>| {
            threshold.map(|threshold| rate_progress(n, counts.calls, threshold, self.minimum_calls))
        };
        [
            self.consecutive_failures.map(|limit| count_progress(streak + hung, limit)),
            self.failure_count.map(|limit| count_progress(counts.failures, limit)),
            rate(counts.failures, self.failure_rate),
            rate(counts.slow, self.slow_call_rate),
        ]
    }
}

pub(crate) fn count_progress(n: u64, limit: u64) -> f64 {
    part(n, limit).min(1.0)
}

/// While there are too few calls to judge the rate, the result is at most the share of the minimum that has
/// been made.
pub(crate) fn rate_progress(n: u64, calls: u64, threshold: f64, minimum_calls: u64) -> f64 {
    let judged = part(calls, minimum_calls).min(1.0);
    judged.min(part(n, calls.max(1)) / threshold)
}

fn part(n: u64, of: u64) -> f64 {
    n as f64 / of as f64
}
