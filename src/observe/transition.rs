//! A change of state, and what caused it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::circuit::{Name, clock};
use crate::machine::{Cause, Change, State};

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
