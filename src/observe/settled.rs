//! [`Settled`]: how an admitted call ended.

use std::fmt;
use std::time::Duration;

use crate::circuit::SettledCall;
use crate::machine::{Counted, Report};

/// How an admitted call ended. It comes with [`EventKind::Settled`](crate::EventKind::Settled).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    ending: Ending,
    duration: Option<Duration>,
    retry_after: Option<Duration>,
    is_slow: bool,
    is_stale: bool,
    is_shadow: bool,
}

impl Settled {
    pub(super) fn new(call: &SettledCall) -> Self {
        let ending = match (call.verdict.counted, call.report) {
            (Some(Counted::Success), _) => Ending::Success,
            (Some(Counted::Failure), _) => Ending::Failure,
            (Some(Counted::SoftFailure), _) => Ending::SoftFailure,
            (None, Report::Ignored) => Ending::Ignored,
            (None, _) => Ending::Abandoned,
        };
        let duration = call.took.map(Duration::from_nanos);
        Self {
            ending,
            duration,
            retry_after: Some(call.report.retry_after())
                .filter(|it| *it > 0)
                .map(Duration::from_nanos),
            is_slow: call.verdict.slow,
            is_stale: call.is_stale,
            is_shadow: call.is_shadow,
        }
    }

    /// Returns how the call ended.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Returns how long the call took, measured from its admission.
    ///
    /// Returns `None` if the call was not timed. Calls are timed if a listener asks for it with
    /// [`Interest::Durations`](crate::Interest::Durations), or if a setting of the breaker needs it.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// Returns for how long the dependency asked not to be called again, if the call failed and it did. This is what it
    /// asked for, whatever [`max_retry_after`](crate::CircuitBreakerBuilder::max_retry_after) is.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns whether the call was slow: it succeeded or failed, and took at least the
    /// [slow call duration](crate::CircuitBreakerBuilder::slow_call_duration_threshold).
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// Returns whether the result was dropped, because the period that admitted the call had ended.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Returns whether the circuit turned the call away and let it through all the same, because not every
    /// rejection is [enforced](crate::CircuitBreakerBuilder::enforcement). Its result does not count.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.is_shadow
    }
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a call ended: {}", self.ending)?;
        if let Some(duration) = self.duration {
            write!(f, " after {duration:.1?}")?;
        }
        if self.is_slow {
            f.write_str(", slow")?;
        }
        if self.is_stale {
            f.write_str(", too late to count")?;
        }
        if self.is_shadow {
            f.write_str(", let through although the circuit turned it away")?;
        }
        Ok(())
    }
}

/// How an admitted call ended: with an outcome, or without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// The call succeeded.
    Success,
    /// The call failed. This includes a call that was abandoned so late that it
    /// [counts as a failure](crate::CircuitBreakerBuilder::abandoned_after).
    Failure,
    /// The call ended with a result that says nothing about the health of the dependency.
    Ignored,
    /// The call was dropped before it had a result.
    Abandoned,
    /// The dependency is overloaded, not broken: [`Outcome::SoftFailure`](crate::Outcome::SoftFailure).
    SoftFailure,
}

impl Ending {
    /// Returns the name of the ending in snake case: `success`, `failure`, `ignored`, `abandoned` or
    /// `soft_failure`. Metrics use this name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Ignored => "ignored",
            Self::Abandoned => "abandoned",
            Self::SoftFailure => "soft_failure",
        }
    }
}

impl fmt::Display for Ending {
    /// Prints the [name](Self::name), except for `soft failure`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SoftFailure => "soft failure",
            ending => ending.name(),
        })
    }
}
