//! [`Cause`].

use std::fmt;

/// Why a circuit changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Cause {
    /// So many calls failed in a row.
    ConsecutiveFailures {
        /// The length of the run.
        failures: u64,
    },
    /// The number of failures in the window reached its threshold.
    FailureCount {
        /// The number of failures in the window.
        failures: u64,
    },
    /// The failure rate reached its threshold: in the window, or in a half-open sample.
    FailureRate {
        /// The calls that failed,
        failures: u64,
        /// of so many.
        calls: u64,
    },
    /// The slow-call rate reached its threshold: in the window, or in a half-open sample.
    SlowCallRate {
        /// The calls that were slow,
        slow_calls: u64,
        /// of so many.
        calls: u64,
    },
    /// A call failed with a server's wish to be left alone for a while, and
    /// [such a wish trips](crate::CircuitBreakerBuilder::trip_on_retry_after).
    RetryAfter,
    /// A probe failed.
    ProbeFailed,
    /// A probe was slow.
    ProbeSlow,
    /// A probe did not report within the probe timeout.
    ProbeTimedOut,
    /// The wait was over and a call asked for admission.
    WaitOver,
    /// The probes succeeded.
    ProbesSucceeded,
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
    /// Its name without the numbers, in snake case, such as `consecutive_failures`: what metrics and
    /// logs call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConsecutiveFailures { .. } => "consecutive_failures",
            Self::FailureCount { .. } => "failure_count",
            Self::FailureRate { .. } => "failure_rate",
            Self::SlowCallRate { .. } => "slow_call_rate",
            Self::RetryAfter => "retry_after",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeSlow => "probe_slow",
            Self::ProbeTimedOut => "probe_timed_out",
            Self::WaitOver => "wait_over",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::Trip => "trip",
            Self::Reset => "reset",
            Self::ForceOpen => "force_open",
            Self::ForceClosed => "force_closed",
            Self::Resume => "resume",
        }
    }

    /// The rate that reached its threshold, from 0.0 to 1.0; `None` if it was no rate.
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
            Self::Trip => f.write_str("tripped by hand"),
            Self::Reset => f.write_str("reset"),
            Self::ForceOpen => f.write_str("forced open"),
            Self::ForceClosed => f.write_str("forced closed"),
            Self::Resume => f.write_str("resumed"),
        }
    }
}
