//! A change of state, and what caused it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{self, Nanos, Tick};
use crate::listeners::Name;
use crate::snapshot::State;

/// A change of a circuit's state: told to
/// [`on_transition`](crate::CircuitBreakerBuilder::on_transition), sent to
/// [`subscribe`](crate::CircuitBreaker::subscribe), and kept for a while by
/// [`history`](crate::CircuitBreaker::history).
///
/// Its `Display` is one line for a log.
///
/// # Example
/// ```
/// use tower_breaker::CircuitBreaker;
///
/// let breaker = CircuitBreaker::builder("payments")
///     .consecutive_failures(1)
///     .on_transition(|transition| println!("{transition}"))
///     .build()?;
///
/// // payments: closed -> open (1 failure in a row), next probe in 4.9s
/// breaker.try_acquire().unwrap().failure();
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    breaker: Name,
    change: Change,
}

impl Transition {
    pub(crate) fn new(breaker: Name, change: Change) -> Self {
        Self { breaker, change }
    }

    /// The name of the breaker.
    #[must_use]
    pub fn breaker(&self) -> &str {
        &self.breaker
    }

    /// The state that it left.
    #[must_use]
    pub fn from(&self) -> State {
        self.change.from
    }

    /// The state that it entered: another than [`from`](Self::from), except where an operator holds
    /// an open circuit open.
    #[must_use]
    pub fn to(&self) -> State {
        self.change.to
    }

    /// When: the moment from which the new state's time counts. If a probe did not report in time,
    /// that is the end of its time, however much later it was noticed.
    #[must_use]
    pub fn at(&self) -> Instant {
        clock::instant(self.change.at)
    }

    /// Why.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.change.cause
    }

    /// How long the circuit will be open before it admits a probe, counted from the moment it
    /// opened; `None` if it did not open, or is forced open.
    #[must_use]
    pub fn open_duration(&self) -> Option<Duration> {
        self.change.opening.map(|opening| Duration::from_nanos(opening.wait))
    }

    /// Which open period this is since the circuit was last closed, from 1 on: what the
    /// [backoff](crate::Backoff) goes by; `None` if it did not open, or is forced open.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        self.change.opening.map(|opening| opening.attempt)
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { breaker, change } = self;
        write!(f, "{breaker}: {} -> {} ({})", change.from, change.to, change.cause)?;
        match self.open_duration() {
            Some(wait) => write!(f, ", next probe in {wait:.1?}"),
            None => Ok(()),
        }
    }
}

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

/// A transition before it has a name: what the state machine says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) cause: Cause,
    pub(crate) at: Tick,
    /// If it opened, and is not forced to.
    pub(crate) opening: Option<Opening>,
}

/// The beginning of an open period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) wait: Nanos,
    /// Which one since the circuit was last closed, from 1 on.
    pub(crate) attempt: u32,
}
