//! [`Transition`]: a change of state, as users see it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::last_failure::LastFailure;
use crate::circuit::{Escaped, Name, clock};
use crate::machine::{Cause, Change, EnforcementNote, State};

/// A change of a circuit's state, and what caused it.
///
/// Transitions are passed to [`on_transition`](crate::CircuitBreakerBuilder::on_transition), sent to
/// those who [`subscribe`](crate::CircuitBreaker::subscribe), and kept for a while in the
/// [`history`](crate::CircuitBreaker::history).
///
/// `Display` prints one line for a log. Control characters in the name of the breaker are escaped.
///
/// # As JSON
/// With the feature `serde` a transition serializes as a map. It says how long ago the transition was,
/// because other processes do not know this one's [`Instant`]s. Durations are numbers of seconds. A value
/// that does not exist is `null`.
///
/// ```json
/// {
///   "breaker": "payments", "from": "closed", "to": "open",
///   "cause": { "kind": "consecutive_failures", "failures": 5 },
///   "ago_seconds": 1.5, "open_duration_seconds": 5.2, "attempt": 1,
///   "enforcement": 1.0,
///   "last_failure": { "text": "connection refused", "ago_seconds": 1.5 }
/// }
/// ```
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
    last_failure: Option<LastFailure>,
}

impl Transition {
    pub(super) fn new(breaker: Name, change: Change, last_failure: Option<LastFailure>) -> Self {
        Self { breaker, change, last_failure }
    }

    /// Returns the name of the breaker as it was given. `Display` escapes it.
    #[must_use]
    pub fn breaker(&self) -> &str {
        &self.breaker
    }

    /// Returns the state that the circuit left.
    #[must_use]
    pub fn from(&self) -> State {
        self.change.from
    }

    /// Returns the state that the circuit entered.
    ///
    /// It differs from [`from`](Self::from), with one exception: an open circuit that an operator
    /// forces open goes from open to open.
    #[must_use]
    pub fn to(&self) -> State {
        self.change.to
    }

    /// Returns when the circuit entered its new state.
    ///
    /// If a probe timed out, this is the moment at which its time ended, even if it was noticed later.
    #[must_use]
    pub fn at(&self) -> Instant {
        clock::instant(self.change.at)
    }

    /// Returns why the circuit changed its state.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.change.cause
    }

    /// Returns how long the circuit stays open before it admits a probe, measured from the moment at
    /// which it opened.
    ///
    /// Returns `None` if the circuit did not open, or is forced open.
    #[must_use]
    pub fn open_duration(&self) -> Option<Duration> {
        self.change.opening.map(|opening| Duration::from_nanos(opening.wait))
    }

    /// Returns the number of this open period since the circuit was last closed, starting with 1. The
    /// [backoff](crate::Backoff) depends on this number.
    ///
    /// Returns `None` if the circuit did not open, or is forced open.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        self.change.opening.map(|opening| opening.attempt)
    }

    /// Returns how many of the calls that the [cause](Self::cause) counts were in flight, because calls count
    /// [before they end](crate::CircuitBreakerBuilder::hung_after).
    #[must_use]
    pub fn calls_in_flight(&self) -> u64 {
        self.change.opening.map_or(0, |opening| opening.in_flight)
    }

    /// Returns what went wrong with the call whose failure opened the circuit, if that was
    /// [described](crate::Permit::describe_failure).
    ///
    /// Only one text a second is kept. If there were several failures within that second, the text is that of the first.
    #[must_use]
    pub fn last_failure(&self) -> Option<&LastFailure> {
        self.last_failure.as_ref()
    }

    /// Returns the share of rejections that the circuit [enforced](crate::CircuitBreakerBuilder::enforcement) at
    /// that time, from 0.0 (shadow mode) to 1.0.
    #[must_use]
    pub fn enforcement(&self) -> f64 {
        self.change.enforcement
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (breaker, change) = (Escaped(&self.breaker), &self.change);
        write!(f, "{breaker}: {} -> {} ({}", change.from, change.to, change.cause)?;
        match (change.cause, self.calls_in_flight()) {
            (Cause::Hung { .. }, _) | (_, 0) => f.write_str(")")?,
            (_, n) => write!(f, ", {n} of them in flight)")?,
        }
        if let Some(wait) = self.open_duration() {
            write!(f, ", next probe in {wait:.1?}")?;
        }
        EnforcementNote(change.enforcement).fmt(f)?;
        self.last_failure.as_ref().map_or(Ok(()), |last| write!(f, ", last failure: {last}"))
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Transition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;

        let ago = Duration::from_nanos(clock::now().saturating_sub(self.change.at));
        let open_duration = self.open_duration().map(|wait| wait.as_secs_f64());
        let mut map = serializer.serialize_struct("Transition", 9)?;
        map.serialize_field("breaker", self.breaker())?;
        map.serialize_field("from", &self.from())?;
        map.serialize_field("to", &self.to())?;
        map.serialize_field("cause", &self.cause())?;
        map.serialize_field("ago_seconds", &ago.as_secs_f64())?;
        map.serialize_field("open_duration_seconds", &open_duration)?;
        map.serialize_field("attempt", &self.attempt())?;
        map.serialize_field("calls_in_flight", &self.calls_in_flight())?;
        map.serialize_field("enforcement", &self.enforcement())?;
        map.serialize_field("last_failure", &self.last_failure())?;
        map.end()
    }
}
