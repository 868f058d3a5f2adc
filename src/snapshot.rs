//! What a circuit looks like from outside.

mod explain;
#[cfg(feature = "serde")]
mod serialize;
mod trip_rule;

use std::time::Duration;

pub use self::trip_rule::TripRule;
use crate::machine::{Cause, State, View};

/// One consistent look at a circuit: which state, since when, why, and what would change it; from
/// [`CircuitBreaker::snapshot`](crate::CircuitBreaker::snapshot).
///
/// While closed it counts the calls in the sliding window (without a rate rule no window is kept,
/// and the counts are 0), while half-open the probes that have reported so far, and while open what
/// was counted when the circuit opened.
///
/// Its `Display` is one line for a log or a terminal. While closed, the trip rules stand in the
/// order of [`trip_rules`](Self::trip_rules), the nearest to tripping first:
///
/// ```text
/// closed for 2m 5s (the probes succeeded): 3 of 5 failures in a row; failure rate 0.31 of 0.5 (20 of 64 calls)
/// open for 1.2s (5 failures in a row), attempt 1: next probe in 3.8s
/// half-open for 400.0ms (the wait is over): 1 of 3 successes, 2 probes in flight, next time-out in 12.0s
/// open for 3h 20m (forced open), held by an operator
/// ```
///
/// # As JSON
/// With the feature `serde` it serialises as a map, here of a circuit that is half-open. Durations
/// are numbers of seconds. What there is not is `null`; `trip_rules` is empty unless it is closed.
///
/// ```json
/// {
///   "state": "half_open", "forced": false, "age_seconds": 0.4, "cause": { "kind": "wait_over" },
///   "calls": 1, "failures": 0, "slow_calls": 0, "consecutive_failures": 0,
///   "failure_rate": null, "slow_call_rate": null,
///   "trip_rules": [],
///   "attempt": null, "retry_after_seconds": 12.0,
///   "probes_in_flight": 2, "probes_to_close": 2, "next_probe_timeout_seconds": 12.0
/// }
/// ```
///
/// A cause and a trip rule are maps of their fields and of `kind`, their name in snake case:
/// `{ "kind": "consecutive_failures", "failures": 3, "limit": 5 }`.
///
/// # Example
/// ```
/// use tower_breaker::{CircuitBreaker, State, TripRule};
///
/// let breaker = CircuitBreaker::new("payments");
/// breaker.try_acquire()?.success();
/// breaker.try_acquire()?.failure();
///
/// let snapshot = breaker.snapshot();
/// assert_eq!(snapshot.state(), State::Closed);
/// assert_eq!((snapshot.calls(), snapshot.failures()), (2, 1));
/// assert_eq!(snapshot.failure_rate(), None); // it takes 20 calls to judge
///
/// let nearest = snapshot.trip_rules().next();
/// assert_eq!(nearest, Some(TripRule::ConsecutiveFailures { failures: 1, limit: 5 }));
/// assert!(snapshot.to_string().ends_with(
///     ": 1 of 5 failures in a row; failure rate not judged yet (2 of 20 calls)"
/// ));
/// # Ok::<(), tower_breaker::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot(View);

impl Snapshot {
    pub(crate) fn new(view: View) -> Self {
        Self(view)
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.state
    }

    /// Whether an operator holds the state:
    /// [`force_open`](crate::CircuitBreaker::force_open) or
    /// [`force_closed`](crate::CircuitBreaker::force_closed), until
    /// [`resume`](crate::CircuitBreaker::resume).
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.0.forced
    }

    /// For how long it has been in this state.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(self.0.age)
    }

    /// Why it is in this state: what caused the last transition; `None` if there was none.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.0.cause
    }

    /// The calls that were counted: successes and failures.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.tally.counts.calls
    }

    /// Those of them that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.tally.counts.failures
    }

    /// Those of them that were slow, whether they failed or not.
    #[must_use]
    pub fn slow_calls(&self) -> u64 {
        self.0.tally.counts.slow
    }

    /// The length of the present run of failures; while open, of the run when it opened.
    #[must_use]
    pub fn consecutive_failures(&self) -> u64 {
        self.0.tally.streak
    }

    /// Failures / calls, from 0.0 to 1.0; `None` below the minimum number of calls.
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        self.0.rates()[0]
    }

    /// Slow calls / calls, from 0.0 to 1.0; `None` below the minimum number of calls.
    #[must_use]
    pub fn slow_call_rate(&self) -> Option<f64> {
        self.0.rates()[1]
    }

    /// How long it takes until the next probe may be admitted: as
    /// [`Rejected::retry_after`](crate::Rejected::retry_after), and zero if one would be admitted
    /// now. `None` while closed and while forced open.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after.map(Duration::from_nanos)
    }

    /// Which open period this is since the circuit was last closed, from 1 on: what the
    /// [backoff](crate::Backoff) goes by. `None` unless open, and while forced open.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        let is_open = self.0.state == State::Open && !self.0.forced;
        is_open.then_some(self.0.attempts)
    }

    /// How far each trip rule is from tripping, the nearest first: the one with the greatest
    /// [progress](TripRule::progress). None unless closed. While
    /// [forced closed](crate::CircuitBreaker::force_closed), what they reach trips nothing.
    pub fn trip_rules(&self) -> impl Iterator<Item = TripRule> + use<> {
        let rules = (self.0.state == State::Closed).then(|| TripRule::nearest_first(&self.0));
        rules.into_iter().flatten().flatten()
    }

    /// The probes that were admitted and have not reported; 0 unless half-open.
    #[must_use]
    pub fn probes_in_flight(&self) -> u64 {
        self.0.probes_in_flight
    }

    /// How many probes are still missing to close: that have to succeed, or of a
    /// [sample](crate::HalfOpen::sample) that have to report before it is judged. `None` unless
    /// half-open.
    #[must_use]
    pub fn probes_to_close(&self) -> Option<u64> {
        let probes = u64::from(self.0.rules.half_open.probes());
        (self.0.state == State::HalfOpen).then(|| probes - self.calls())
    }

    /// How long it takes until the oldest probe in flight has
    /// [timed out](crate::CircuitBreakerBuilder::probe_timeout), which opens the circuit again.
    /// `None` without a probe in flight.
    #[must_use]
    pub fn next_probe_timeout(&self) -> Option<Duration> {
        self.0.next_probe_timeout.map(Duration::from_nanos)
    }
}
