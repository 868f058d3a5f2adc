//! A change of state, and what caused it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::snapshot::State;

/// A change of a circuit's state: what
/// [`on_transition`](crate::CircuitBreakerBuilder::on_transition) is told.
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
    breaker: Arc<str>,
    change: Change,
}

impl Transition {
    pub(crate) fn new(breaker: Arc<str>, change: Change) -> Self {
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

    /// Why.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.change.cause
    }

    /// How long the circuit will be open before it admits a probe, counted from the moment it
    /// opened; `None` if it did not open, or is forced open.
    #[must_use]
    pub fn open_duration(&self) -> Option<Duration> {
        self.change.wait.map(Duration::from_nanos)
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
    /// In nanoseconds.
    pub(crate) wait: Option<u64>,
}
