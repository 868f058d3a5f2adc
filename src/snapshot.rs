//! [`Snapshot`]: what a circuit looks like from outside, at one moment.
//!
//! # What belongs here
//!
//! The public face of the machine's [`View`]: its methods, its line for people and its form for programs.
//! This layer decides nothing. It imports [`machine`](crate::machine).
//!
//! # Where to start reading
//!
//! [`Snapshot`] has a method for each question. [`explain`] prints the answers, [`serialize`] writes them
//! for programs, and [`TripRule`] says how near each rule is to tripping the circuit.

mod explain;
#[cfg(feature = "serde")]
mod serialize;
mod trip_rule;

use std::time::Duration;

#[cfg(any(feature = "admin", feature = "replay"))]
pub(crate) use self::explain::Length;
pub use self::trip_rule::TripRule;
use crate::machine::{Cause, State, View};

/// A circuit at one moment: its state, since when, why, and what would change it. Returned by
/// [`CircuitBreaker::snapshot`](crate::CircuitBreaker::snapshot).
///
/// What the counts cover depends on the state:
///
/// * closed: the calls in the sliding window. Without a rate rule there is no window, and all counts
///   are 0.
/// * half-open: the probes that have reported so far, or while the circuit
///   [recovers](crate::HalfOpen::ramp) the calls in the sliding window since then.
/// * open: what was counted when the circuit opened.
///
/// `Display` prints one line for a log or a terminal. While the circuit is closed, the line lists the trip
/// rules in the order of [`trip_rules`](Self::trip_rules), the nearest to tripping first:
///
/// ```text
/// closed for 2m 5s (the probes succeeded): 3 of 5 failures in a row; failure rate 0.31 of 0.5 (20 of 64 calls)
/// open for 1.2s (5 failures in a row), attempt 1: next probe in 3.8s
/// half-open for 400.0ms (the wait is over): 1 of 3 successes, 2 probes in flight, next time-out in 12.0s
/// half-open for 12.5s (the wait is over), recovering, 40 % of calls admitted: 0 of 5 failures in a row
/// closed for 1m 0s, suspected for another 25.0s: 1 of 3 failures in a row
/// open for 3h 20m (forced open), held by an operator
/// open for 30.0s (forced open), held by an operator for another 9m 30s
/// ```
///
/// # As JSON
/// With the feature `serde` a snapshot serializes as a map. Durations are numbers of seconds. A value that
/// does not exist in the current state is `null`, and `trip_rules` is empty unless the circuit is closed or recovers.
/// This circuit is half-open:
///
/// ```json
/// {
///   "state": "half_open", "forced": false, "forced_for_seconds": null, "suspected_for_seconds": null, "admitted_share": 0.0,
///   "enforcement": 1.0, "age_seconds": 0.4, "cause": { "kind": "wait_over" },
///   "calls": 1, "failures": 0, "slow_calls": 0, "consecutive_failures": 0,
///   "failure_rate": null, "slow_call_rate": null,
///   "trip_rules": [],
///   "attempt": null, "retry_after_seconds": 10.4,
///   "calls_in_flight": null, "hung_calls": null, "probes_in_flight": 2, "probes_to_close": 2, "next_probe_timeout_seconds": 12.0
/// }
/// ```
///
/// A cause and a trip rule serialize as a map of their fields and of `kind`, their name in snake case:
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
/// assert_eq!(snapshot.failure_rate(), None); // no rate is judged below 20 calls
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

    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.state
    }

    /// Returns whether an operator holds the circuit in its state, with
    /// [`force_open`](crate::CircuitBreaker::force_open) or
    /// [`force_closed`](crate::CircuitBreaker::force_closed). That lasts until
    /// [`resume`](crate::CircuitBreaker::resume), or for the time that [`forced_for`](Self::forced_for) returns.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.0.forced
    }

    /// Returns for how long, from this moment on, an operator holds the circuit, if that ends by itself: after
    /// [`force_open_for`](crate::CircuitBreaker::force_open_for) or
    /// [`force_closed_for`](crate::CircuitBreaker::force_closed_for).
    ///
    /// Returns `None` if only [`resume`](crate::CircuitBreaker::resume) ends it, and while the circuit is not forced.
    #[must_use]
    pub fn forced_for(&self) -> Option<Duration> {
        self.0.forced_for.map(Duration::from_nanos)
    }

    /// Returns for how long, from this moment on, the circuit remains [suspected](crate::CircuitBreaker::suspect) at most,
    /// or `None` if it is not. The [trip rules](Self::trip_rules) show the stricter limits meanwhile.
    #[must_use]
    pub fn suspected_for(&self) -> Option<Duration> {
        self.0.suspected_for.map(Duration::from_nanos)
    }

    /// Returns the share of calls that the circuit admits: 1.0 while closed, 0.0 while open or while probes decide,
    /// and the growing share of its [ramp](crate::HalfOpen::ramp) while it recovers.
    #[must_use]
    pub fn admitted_share(&self) -> f64 {
        self.0.admitted_share
    }

    /// Returns the share of rejections that are enforced, from 0.0 (shadow mode) to 1.0. See
    /// [`CircuitBreakerBuilder::enforcement`](crate::CircuitBreakerBuilder::enforcement).
    #[must_use]
    pub fn enforcement(&self) -> f64 {
        self.0.rules.enforcement
    }

    /// Returns how long the circuit has been in this state.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(self.0.age)
    }

    /// Returns what caused the last transition, or `None` if there has not been one.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.0.cause
    }

    /// Returns how many calls are counted: successes and failures.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.tally.counts.calls
    }

    /// Returns how many of the counted [calls](Self::calls) failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.tally.counts.failures
    }

    /// Returns how many of the counted [calls](Self::calls) were slow, whether or not they failed.
    #[must_use]
    pub fn slow_calls(&self) -> u64 {
        self.0.tally.counts.slow
    }

    /// Returns the length of the failure streak. While open, this is the streak at the moment the circuit
    /// opened.
    #[must_use]
    pub fn consecutive_failures(&self) -> u64 {
        self.0.tally.streak
    }

    /// Returns failures / calls, from 0.0 to 1.0, or `None` below the
    /// [minimum number of calls](crate::CircuitBreakerBuilder::minimum_calls). This is the rate that the rule judges, so
    /// it includes calls that [hang](crate::CircuitBreakerBuilder::hung_after).
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        self.0.rates()[0]
    }

    /// Returns slow calls / calls, from 0.0 to 1.0, or `None` below the
    /// [minimum number of calls](crate::CircuitBreakerBuilder::minimum_calls).
    #[must_use]
    pub fn slow_call_rate(&self) -> Option<f64> {
        self.0.rates()[1]
    }

    /// Returns how long it takes until the next probe may be admitted, as
    /// [`Rejected::retry_after`](crate::Rejected::retry_after) does, or zero if a probe would be admitted
    /// now. While the circuit [recovers](crate::HalfOpen::ramp), the same holds for a call.
    ///
    /// Returns `None` while the circuit is closed, or forced open until somebody resumes it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after.map(Duration::from_nanos)
    }

    /// Returns the number of this open period since the circuit was last closed, starting with 1. The
    /// [backoff](crate::Backoff) depends on this number.
    ///
    /// Returns `None` unless the circuit is open, and while it is forced open.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        let is_open = self.0.state == State::Open && !self.0.forced;
        is_open.then_some(self.0.attempts)
    }

    /// Returns how far each trip rule is from tripping the circuit. The nearest one, with the greatest
    /// [progress](TripRule::progress), comes first.
    ///
    /// There are no trip rules unless the circuit is closed or [recovers](crate::HalfOpen::ramp). While it is
    /// [forced closed](crate::CircuitBreaker::force_closed), a rule that is reached does not trip it.
    pub fn trip_rules(&self) -> impl Iterator<Item = TripRule> + use<> {
        let rules = self.0.may_trip().then(|| TripRule::nearest_first(&self.0));
        rules.into_iter().flatten().flatten()
    }

    /// Returns how many calls of the present closed period are in flight and have not been
    /// [answered](crate::Permit::answered).
    ///
    /// Returns `None` unless [`hung_after`](crate::CircuitBreakerBuilder::hung_after) or
    /// [`slow_in_flight`](crate::CircuitBreakerBuilder::slow_in_flight) is set, because nothing counts them otherwise.
    #[must_use]
    pub fn calls_in_flight(&self) -> Option<u64> {
        self.0.in_flight.map(|in_flight| in_flight.calls)
    }

    /// Returns how many of the [calls in flight](Self::calls_in_flight) have been in flight for longer than
    /// [`hung_after`](crate::CircuitBreakerBuilder::hung_after), whether or not they still count for the trip rules.
    ///
    /// Returns `None` unless that is set.
    #[must_use]
    pub fn hung_calls(&self) -> Option<u64> {
        let is_set = self.0.rules.hung_after.is_some();
        self.0.in_flight.map(|in_flight| in_flight.hung).filter(|_| is_set)
    }

    /// Returns how many probe slots are taken: by probes that have not reported yet, and by services whose
    /// `poll_ready` has taken a slot for their next call. This is 0 unless the circuit is half-open.
    #[must_use]
    pub fn probes_in_flight(&self) -> u64 {
        self.0.probes_in_flight
    }

    /// Returns how many more probes have to succeed before the circuit closes. With a
    /// [sample](crate::HalfOpen::sample), returns how many more have to report before the sample is judged.
    ///
    /// Returns `None` unless the circuit is half-open and its probes have not decided yet.
    #[must_use]
    pub fn probes_to_close(&self) -> Option<u64> {
        let rule = self.0.rules.half_open;
        let reported = rule.reported(self.0.tally.counts);
        // After a change of the settings there may be more reports than needed. Then the next one decides.
        let missing = u64::from(rule.probes()).saturating_sub(reported).max(1);
        let decide = self.0.state == State::HalfOpen && !self.0.is_recovering();
        decide.then_some(missing)
    }

    /// Returns how long it takes until the time of the first probe
    /// [ends](crate::CircuitBreakerBuilder::probe_timeout). If the probe has not reported by then, it has
    /// failed.
    ///
    /// Returns `None` if no probe slot is taken.
    #[must_use]
    pub fn next_probe_timeout(&self) -> Option<Duration> {
        self.0.next_probe_timeout.map(Duration::from_nanos)
    }
}
