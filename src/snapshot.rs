//! What a circuit looks like from outside.

use std::fmt;
use std::time::Duration;

use crate::window::Counts;

/// The state of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls are admitted and their results counted.
    Closed,
    /// Calls are rejected until the wait is over.
    Open,
    /// A limited number of probes is admitted to find out whether the dependency has recovered.
    HalfOpen,
}

impl fmt::Display for State {
    /// `closed`, `open` or `half-open`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// One consistent look at a circuit; from [`CircuitBreaker::snapshot`](crate::CircuitBreaker::snapshot).
///
/// While closed it counts the calls in the sliding window (without a rate rule no window is kept,
/// and the counts are 0), while half-open the probes that have reported so far, and while open what
/// was counted when the circuit opened.
///
/// # Example
/// ```
/// use tower_breaker::{CircuitBreaker, State};
///
/// let breaker = CircuitBreaker::new("payments");
/// breaker.try_acquire()?.success();
/// breaker.try_acquire()?.failure();
///
/// let snapshot = breaker.snapshot();
/// assert_eq!(snapshot.state(), State::Closed);
/// assert_eq!((snapshot.calls(), snapshot.failures()), (2, 1));
/// assert_eq!(snapshot.failure_rate(), None); // it takes 20 calls to judge
/// # Ok::<(), tower_breaker::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub(crate) state: State,
    pub(crate) tally: Tally,
    pub(crate) minimum_calls: u64,
    pub(crate) retry_after: Option<Duration>,
}

/// What has been counted: the calls, and the present run of failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) run: u64,
}

impl Tally {
    pub(crate) fn record(&mut self, failed: bool, slow: bool) {
        self.counts.record(failed, slow);
        self.run = if failed { self.run + 1 } else { 0 };
    }
}

impl Snapshot {
    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The calls that were counted: successes and failures.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.tally.counts.calls
    }

    /// Those of them that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.tally.counts.failures
    }

    /// Those of them that were slow, whether they failed or not.
    #[must_use]
    pub fn slow_calls(&self) -> u64 {
        self.tally.counts.slow
    }

    /// The length of the present run of failures; while open, of the run when it opened.
    #[must_use]
    pub fn consecutive_failures(&self) -> u64 {
        self.tally.run
    }

    /// Failures / calls, from 0.0 to 1.0; `None` below the minimum number of calls.
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        self.rate(self.failures())
    }

    /// Slow calls / calls, from 0.0 to 1.0; `None` below the minimum number of calls.
    #[must_use]
    pub fn slow_call_rate(&self) -> Option<f64> {
        self.rate(self.slow_calls())
    }

    /// How long it takes until the next probe may be admitted: as
    /// [`Rejected::retry_after`](crate::Rejected::retry_after), and zero if one would be admitted
    /// now. `None` while closed and while forced open.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn rate(&self, part: u64) -> Option<f64> {
        let calls = self.calls();
        (calls >= self.minimum_calls).then(|| part as f64 / calls as f64)
    }
}
