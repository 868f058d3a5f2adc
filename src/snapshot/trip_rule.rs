//! How far the rules are from tripping a circuit.

use std::fmt;

use crate::machine::View;

/// A rule that trips a circuit, and how far it is from that; from
/// [`Snapshot::trip_rules`](crate::Snapshot::trip_rules).
///
/// Its `Display` is a part of a line for a log.
///
/// # Example
/// ```
/// use tower_breaker::TripRule;
///
/// let rule = TripRule::ConsecutiveFailures { failures: 3, limit: 5 };
/// assert_eq!(rule.progress(), 0.6);
/// assert_eq!(rule.to_string(), "3 of 5 failures in a row");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum TripRule {
    /// [`consecutive_failures`](crate::CircuitBreakerBuilder::consecutive_failures).
    ConsecutiveFailures {
        /// The length of the present run,
        failures: u64,
        /// and of one that trips.
        limit: u64,
    },
    /// [`failure_count_threshold`](crate::CircuitBreakerBuilder::failure_count_threshold).
    FailureCount {
        /// The number of calls in the window that failed.
        failures: u64,
        /// The number that trips.
        limit: u64,
    },
    /// [`failure_rate_threshold`](crate::CircuitBreakerBuilder::failure_rate_threshold).
    FailureRate {
        /// The calls in the window that failed,
        failures: u64,
        /// of so many.
        calls: u64,
        /// The rate that trips.
        threshold: f64,
        /// So many calls it takes to judge.
        minimum_calls: u64,
    },
    /// [`slow_call_rate_threshold`](crate::CircuitBreakerBuilder::slow_call_rate_threshold).
    SlowCallRate {
        /// The calls in the window that were slow,
        slow_calls: u64,
        /// of so many.
        calls: u64,
        /// The rate that trips.
        threshold: f64,
        /// So many calls it takes to judge.
        minimum_calls: u64,
    },
}

impl TripRule {
    /// Those that are on.
    pub(super) fn nearest_first(view: &View) -> [Option<Self>; 4] {
        let View { tally, rules, .. } = *view;
        let (calls, minimum_calls) = (tally.counts.calls, rules.minimum_calls);
        let mut all = [
            rules
                .consecutive_failures
                .map(|limit| Self::ConsecutiveFailures { failures: tally.streak, limit }),
            rules.failure_count.map(|limit| {
                let failures = tally.counts.failures;
                Self::FailureCount { failures, limit }
            }),
            rules.failure_rate.map(|threshold| {
                let failures = tally.counts.failures;
                Self::FailureRate { failures, calls, threshold, minimum_calls }
            }),
            rules.slow_call_rate.map(|threshold| {
                let slow_calls = tally.counts.slow;
                Self::SlowCallRate { slow_calls, calls, threshold, minimum_calls }
            }),
        ];
        let progress = |rule: &Option<Self>| rule.map_or(0.0, |rule| rule.progress());
        all.sort_by(|a, b| progress(b).total_cmp(&progress(a)));
        all
    }

    /// How much of the way is gone, from 0.0 to 1.0, where it trips: a run as a part of its limit, a
    /// rate as a part of its threshold. While there are too few calls to judge a rate, no more than
    /// their part of [`minimum_calls`](crate::CircuitBreakerBuilder::minimum_calls).
    #[must_use]
    pub fn progress(&self) -> f64 {
        match *self {
            Self::ConsecutiveFailures { failures, limit }
            | Self::FailureCount { failures, limit } => part(failures, limit).min(1.0),
            Self::FailureRate { failures: n, calls, threshold, minimum_calls }
            | Self::SlowCallRate { slow_calls: n, calls, threshold, minimum_calls } => {
                let judged = part(calls, minimum_calls).min(1.0);
                judged.min(part(n, calls.max(1)) / threshold)
            }
        }
    }
}

impl fmt::Display for TripRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, n, calls, threshold, minimum_calls) = match *self {
            Self::ConsecutiveFailures { failures, limit } => {
                return write!(f, "{failures} of {limit} failures in a row");
            }
            Self::FailureCount { failures, limit } => {
                return write!(f, "{failures} of {limit} failures in the window");
            }
            Self::FailureRate { failures, calls, threshold, minimum_calls } => {
                ("failure rate", failures, calls, threshold, minimum_calls)
            }
            Self::SlowCallRate { slow_calls, calls, threshold, minimum_calls } => {
                ("slow-call rate", slow_calls, calls, threshold, minimum_calls)
            }
        };
        if calls < minimum_calls {
            return write!(f, "{name} not judged yet ({calls} of {minimum_calls} calls)");
        }
        write!(f, "{name} {:.2} of {threshold} ({n} of {calls} calls)", part(n, calls))
    }
}

fn part(n: u64, of: u64) -> f64 {
    n as f64 / of as f64
}
