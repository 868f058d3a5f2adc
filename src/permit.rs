//! [`Permit`]: the only way to be admitted and the only way to report.

use std::fmt;
use std::time::Duration;

use crate::circuit::{Admission, Circuit};
use crate::classify::Outcome;
use crate::clock::{self, NEVER, Tick};
use crate::state::{Report, Ticket};

/// The admission of one call; from [`CircuitBreaker::try_acquire`](crate::CircuitBreaker::try_acquire).
///
/// It reports how the call ended, once. Dropped before, the call is *abandoned*: that is neutral
/// (a probe gives its place back), unless
/// [`abandoned_after`](crate::CircuitBreakerBuilder::abandoned_after) says otherwise.
///
/// A result counts only in the period that admitted the call: if the circuit has changed its state
/// since, or was reset, the report has no effect. So it has if all handles of the breaker are gone.
///
/// # Example
/// ```
/// use tower_breaker::{CircuitBreaker, Outcome};
///
/// let breaker = CircuitBreaker::new("cache");
/// breaker.try_acquire()?.success();
/// breaker.try_acquire()?.failure();
/// breaker.try_acquire()?.record(Outcome::Ignored);
/// drop(breaker.try_acquire()?); // abandoned
///
/// assert_eq!(breaker.snapshot().calls(), 2);
/// # Ok::<(), tower_breaker::Rejected>(())
/// ```
#[must_use = "a permit that is dropped abandons its call"]
pub struct Permit {
    circuit: &'static Circuit,
    ticket: Ticket,
    /// When the call began; [`NEVER`] as long as it has not.
    began: Tick,
}

impl Permit {
    pub(crate) fn new(circuit: &'static Circuit, admission: Admission) -> Self {
        Self { circuit, ticket: admission.ticket, began: admission.at }
    }

    /// A place for a probe whose call has not begun. Dropped, it is given back whatever time has
    /// passed.
    pub(crate) fn reserved(circuit: &'static Circuit, admission: Admission) -> Self {
        Self { began: NEVER, ..Self::new(circuit, admission) }
    }

    /// How long this probe has to report; `None` if it is too late.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let now = clock::now();
        let end = self.circuit.lease(self.ticket, now)?;
        Some(Duration::from_nanos(end.saturating_sub(now)))
    }

    /// Begins the call of a reserved probe, unless it is too late.
    pub(crate) fn begin(mut self) -> Option<Self> {
        let now = clock::now();
        self.circuit.lease(self.ticket, now)?;
        self.began = now;
        Some(self)
    }

    /// The call succeeded.
    pub fn success(self) {
        self.settle(Report::Success);
    }

    /// The call failed.
    pub fn failure(self) {
        self.settle(Report::Failure);
    }

    /// The call says nothing about the health of the dependency: it is not counted, and a probe gives
    /// its place back.
    pub fn ignore(self) {
        self.settle(Report::Ignored);
    }

    /// Reports what a classifier found.
    pub fn record(self, outcome: Outcome) {
        self.settle(match outcome {
            Outcome::Success => Report::Success,
            Outcome::Failure => Report::Failure,
            Outcome::Ignored => Report::Ignored,
        });
    }

    #[inline]
    fn settle(self, report: Report) {
        self.circuit.settle(self.ticket, self.began, report);
        std::mem::forget(self); // which would abandon it
    }

    /// Runs a part of the protected call; if it panics, the call has failed. The permit is taken then
    /// and is otherwise left.
    #[inline]
    pub(crate) fn failing_on_panic<T>(permit: &mut Option<Self>, call: impl FnOnce() -> T) -> T {
        struct Guard<'a>(&'a mut Option<Permit>);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                if let Some(permit) = self.0.take() {
                    permit.failure();
                }
            }
        }
        let guard = Guard(permit);
        let result = call();
        std::mem::forget(guard);
        result
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        self.circuit.settle(self.ticket, self.began, Report::Abandoned);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
