//! [`Cause`]: why a circuit changed its state.

use std::fmt;

/// Why a circuit changed its state.
///
/// `Display` prints the cause for people, `3 failures in a row`. With the feature `serde` it serializes as
/// a map of its fields and of `kind`, its [name](Self::name):
/// `{ "kind": "consecutive_failures", "failures": 3 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Cause {
    /// The failure streak reached its limit.
    ConsecutiveFailures {
        /// The number of consecutive failures.
        failures: u64,
    },
    /// The failure streak and the calls that have hung since the last success reached the limit of consecutive
    /// failures together. See [`hung_after`](crate::CircuitBreakerBuilder::hung_after).
    Hung {
        /// The number of calls in flight that have hung since the last success.
        in_flight: u64,
        /// The limit of [`consecutive_failures`](crate::CircuitBreakerBuilder::consecutive_failures).
        limit: u64,
    },
    /// The number of failures in the sliding window reached its threshold.
    FailureCount {
        /// The number of failures in the window.
        failures: u64,
    },
    /// The failure rate reached its threshold, either in the sliding window or in a half-open sample.
    FailureRate {
        /// The number of calls that failed.
        failures: u64,
        /// The number of calls that were counted.
        calls: u64,
    },
    /// The slow-call rate reached its threshold, either in the sliding window or in a half-open sample.
    SlowCallRate {
        /// The number of calls that were slow.
        slow_calls: u64,
        /// The number of calls that were counted.
        calls: u64,
    },
    /// A call failed with a retry-after, and the breaker
    /// [trips on that](crate::CircuitBreakerBuilder::trip_on_retry_after).
    RetryAfter,
    /// A probe failed.
    ProbeFailed,
    /// A probe was slow.
    ProbeSlow,
    /// A probe did not report within its time.
    ProbeTimedOut,
    /// The open period had elapsed when a call asked for admission.
    WaitOver,
    /// The probes succeeded.
    ProbesSucceeded,
    /// The circuit has admitted a growing share of the calls for the time of its
    /// [ramp](crate::HalfOpen::ramp), and no trip rule was reached.
    RampCompleted,
    /// The circuit was built as another one had been when it was
    /// [saved](crate::CircuitBreakerBuilder::primed).
    Primed,
    /// [`trip`](crate::CircuitBreaker::trip) was called.
    Trip,
    /// [`reset`](crate::CircuitBreaker::reset) was called.
    Reset,
    /// [`force_open`](crate::CircuitBreaker::force_open) was called.
    ForceOpen,
    /// [`force_closed`](crate::CircuitBreaker::force_closed) was called.
    ForceClosed,
    /// [`resume`](crate::CircuitBreaker::resume) was called.
    Resume,
}

impl Cause {
    /// Returns the name of the cause in snake case, without its numbers, such as
    /// `consecutive_failures`. Metrics, log fields and JSON use this name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConsecutiveFailures { .. } => "consecutive_failures",
            Self::Hung { .. } => "hung",
            Self::FailureCount { .. } => "failure_count",
            Self::FailureRate { .. } => "failure_rate",
            Self::SlowCallRate { .. } => "slow_call_rate",
            Self::RetryAfter => "retry_after",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeSlow => "probe_slow",
            Self::ProbeTimedOut => "probe_timed_out",
            Self::WaitOver => "wait_over",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::RampCompleted => "ramp_completed",
            Self::Primed => "primed",
            Self::Trip => "trip",
            Self::Reset => "reset",
            Self::ForceOpen => "force_open",
            Self::ForceClosed => "force_closed",
            Self::Resume => "resume",
        }
    }

    /// Returns the rate that reached its threshold, from 0.0 to 1.0, or `None` if the cause is not a rate.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        match *self {
            Self::FailureRate { failures: part, calls }
            | Self::SlowCallRate { slow_calls: part, calls } => Some(part as f64 / calls as f64),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ConsecutiveFailures { failures: 1 } => f.write_str("1 failure in a row"),
            Self::ConsecutiveFailures { failures } => write!(f, "{failures} failures in a row"),
            Self::Hung { in_flight: 1, limit } => write!(f, "1 call hangs, limit {limit}"),
            Self::Hung { in_flight, limit } => write!(f, "{in_flight} calls hang, limit {limit}"),
            Self::FailureCount { failures: 1 } => f.write_str("1 failure in the window"),
            Self::FailureCount { failures } => write!(f, "{failures} failures in the window"),
            Self::FailureRate { failures, calls } => {
                write!(f, "{failures} of {calls} calls failed")
            }
            Self::SlowCallRate { slow_calls, calls } => {
                write!(f, "{slow_calls} of {calls} calls were slow")
            }
            Self::RetryAfter => f.write_str("the server asked to be left alone"),
            Self::ProbeFailed => f.write_str("a probe failed"),
            Self::ProbeSlow => f.write_str("a probe was slow"),
            Self::ProbeTimedOut => f.write_str("a probe timed out"),
            Self::WaitOver => f.write_str("the wait is over"),
            Self::ProbesSucceeded => f.write_str("the probes succeeded"),
            Self::RampCompleted => f.write_str("the ramp completed"),
            Self::Primed => f.write_str("primed with a saved state"),
            Self::Trip => f.write_str("tripped by hand"),
            Self::Reset => f.write_str("reset"),
            Self::ForceOpen => f.write_str("forced open"),
            Self::ForceClosed => f.write_str("forced closed"),
            Self::Resume => f.write_str("resumed"),
        }
    }
}
