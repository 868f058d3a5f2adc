//! [`TripRule`]: how far a rule is from tripping a circuit.

use std::fmt;

use crate::machine::{View, count_progress, rate_progress};

/// A rule that trips the circuit, and how far it is from doing so. Returned by
/// [`Snapshot::trip_rules`](crate::Snapshot::trip_rules).
///
/// `Display` prints a phrase for a log line.
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
    /// The rule of [`consecutive_failures`](crate::CircuitBreakerBuilder::consecutive_failures).
    ConsecutiveFailures {
        /// The length of the current failure streak.
        failures: u64,
        /// The length at which the rule trips the circuit.
        limit: u64,
    },
    /// The rule of [`failure_count_threshold`](crate::CircuitBreakerBuilder::failure_count_threshold).
    FailureCount {
        /// The number of failed calls in the window.
        failures: u64,
        /// The number at which the rule trips the circuit.
        limit: u64,
    },
    /// The rule of [`failure_rate_threshold`](crate::CircuitBreakerBuilder::failure_rate_threshold).
    FailureRate {
        /// The number of failed calls in the window.
        failures: u64,
        /// The number of calls in the window.
        calls: u64,
        /// The rate at which the rule trips the circuit.
        threshold: f64,
        /// The number of calls below which the rate is not judged.
        minimum_calls: u64,
    },
    /// The rule of [`slow_call_rate_threshold`](crate::CircuitBreakerBuilder::slow_call_rate_threshold).
    SlowCallRate {
        /// The number of slow calls in the window.
        slow_calls: u64,
        /// The number of calls in the window.
        calls: u64,
        /// The rate at which the rule trips the circuit.
        threshold: f64,
        /// The number of calls below which the rate is not judged.
        minimum_calls: u64,
    },
}

impl TripRule {
    /// Returns the rules that are on, the nearest to tripping first.
    pub(super) fn nearest_first(view: &View) -> [Option<Self>; 4] {
        let View { judged: tally, rules, .. } = view;
        let (calls, minimum_calls) = (tally.counts.calls, rules.minimum_calls);
        let mut all = [
            rules.consecutive_failures.map(|limit| {
                let failures = tally.streak + tally.hung;
                Self::ConsecutiveFailures { failures, limit }
            }),
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

    /// Returns how near the rule is to tripping the circuit, from 0.0 to 1.0, where it trips.
    ///
    /// For a failure streak this is its length divided by its limit, and for a rate the rate divided by its
    /// threshold. While there are too few calls to judge a rate, the result is at most the share of
    /// [`minimum_calls`](crate::CircuitBreakerBuilder::minimum_calls) that has been made.
    #[must_use]
    pub fn progress(&self) -> f64 {
        match *self {
            Self::ConsecutiveFailures { failures, limit }
            | Self::FailureCount { failures, limit } => count_progress(failures, limit),
            Self::FailureRate { failures: n, calls, threshold, minimum_calls }
            | Self::SlowCallRate { slow_calls: n, calls, threshold, minimum_calls } => {
                rate_progress(n, calls, threshold, minimum_calls)
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
        let rate = n as f64 / calls as f64;
        write!(f, "{name} {rate:.2} of {threshold} ({n} of {calls} calls)")
    }
}
