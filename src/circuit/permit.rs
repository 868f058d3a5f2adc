//! [`Permit`]: the only way to be admitted and the only way to report.

use std::fmt;
use std::time::Duration;

use super::{Circuit, StatusWord, clock, time_until};
use crate::machine::{Report, Tick, Ticket, nanos};

/// What the result of a call says about the health of the dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The dependency works.
    Success,
    /// The dependency does not work.
    Failure,
    /// The result says nothing about the dependency. The call is not counted, and a probe gives its slot
    /// back.
    Ignored,
}

/// The admission of one call, returned by
/// [`CircuitBreaker::try_acquire`](crate::CircuitBreaker::try_acquire).
///
/// A permit reports how its call ended, once. A permit that is dropped without a report *abandons* its
/// call. That is neutral (a probe gives its slot back), unless
/// [`abandoned_after`](crate::CircuitBreakerBuilder::abandoned_after) is set.
///
/// A result counts only in the period that admitted the call. If the circuit has changed its state since,
/// or was reset, the report has no effect. The report also has no effect once every handle to the breaker
/// has been dropped.
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
#[must_use = "dropping a permit abandons its call"]
pub struct Permit(Call);

const _: () = assert!(size_of::<Permit>() <= 24);

/// An admitted call. Whoever holds it has to settle it.
#[derive(Clone, Copy)]
struct Call {
    circuit: &'static Circuit,
    /// The status of the circuit at the admission, with the ticket of the call.
    status: StatusWord,
    /// When the call began, or 0 if nothing depends on it.
    began: Tick,
}

impl Call {
    #[inline]
    fn settle(self, report: Report) {
        let Self { circuit, status, began } = self;
        if status.is(StatusWord::WATCHED) {
            circuit.settle_watched(status, began, report);
        } else {
            circuit.settle(clock::now, status.ticket(), began, report);
        }
    }
}

impl Permit {
    #[inline]
    pub(super) fn new(circuit: &'static Circuit, status: StatusWord, began: Tick) -> Self {
        Self(Call { circuit, status, began })
    }

    /// Reports that the call succeeded.
    #[inline]
    pub fn success(self) {
        self.into_call().settle(Report::Success);
    }

    /// Reports that the call failed.
    #[inline]
    pub fn failure(self) {
        self.into_call().settle(Report::Failure);
    }

    /// Reports that the call failed and that the callee asked not to be called again for `wait`, for
    /// example with HTTP's `Retry-After`.
    ///
    /// If the circuit opens on this failure, it stays open for at least that long, up to
    /// [`max_retry_after`](crate::CircuitBreakerBuilder::max_retry_after). With
    /// [`trip_on_retry_after`](crate::CircuitBreakerBuilder::trip_on_retry_after) it does open.
    pub fn failure_retry_after(self, wait: Duration) {
        self.into_call().settle(Report::FailureRetryAfter(nanos(wait)));
    }

    /// Reports that the call says nothing about the health of the dependency. It is not counted, and a
    /// probe gives its slot back.
    #[inline]
    pub fn ignore(self) {
        self.into_call().settle(Report::Ignored);
    }

    /// Reports the outcome that a classifier has found.
    #[inline]
    pub fn record(self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.success(),
            Outcome::Failure => self.failure(),
            Outcome::Ignored => self.ignore(),
        }
    }

    /// Runs a part of the protected call. If it panics, the call has failed.
    ///
    /// The permit is passed by value, because a guard that borrows it would force it through memory
    /// (`cargo bench --bench overhead`, "consecutive failures").
    #[inline]
    pub(crate) fn failing_on_panic<T>(self, part: impl FnOnce() -> T) -> (T, Self) {
        struct Guard(Call);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.settle(Report::Failure);
            }
        }
        let guard = Guard(self.into_call());
        let result = part();
        let call = guard.0;
        std::mem::forget(guard); // there was no panic
        (result, Self(call))
    }

    /// Disarms `Drop`, which would abandon the call.
    #[inline]
    fn into_call(self) -> Call {
        let call = self.0;
        std::mem::forget(self);
        call
    }
}

/// What a response body needs that carries the permit.
#[cfg(feature = "http")]
impl Permit {
    /// Returns the current time if it matters when the call last showed a sign of life.
    #[inline]
    pub(crate) fn sign_of_life(&self) -> Option<Tick> {
        /// Not inlined, so that bodies can be inlined where they are polled (`cargo bench --bench body`).
        #[cold]
        fn now() -> Tick {
            clock::now()
        }
        self.0.status.is(StatusWord::COUNTS_ABANDONED).then(now)
    }

    /// Settles an abandoned call as failed if it showed its last [sign of life](Self::sign_of_life) at
    /// `last_sign` and that is too long ago. Otherwise returns the permit. Dropping it is neutral then,
    /// however long ago the call began.
    pub(crate) fn unless_silent(mut self, last_sign: Tick) -> Option<Self> {
        let Call { circuit, status, .. } = self.0;
        if !status.is(StatusWord::COUNTS_ABANDONED) {
            return Some(self);
        }
        let silent_for = clock::now().saturating_sub(last_sign);
        if silent_for >= circuit.abandoned_after.load(super::Ordering::Relaxed) {
            return None; // drops the permit, which is a failure because the call began even earlier
        }
        self.0.status = StatusWord(status.0 & !StatusWord::COUNTS_ABANDONED);
        Some(self)
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        let may_fail = self.0.status.is(StatusWord::COUNTS_ABANDONED);
        self.0.settle(if may_fail { Report::GivenUp } else { Report::Abandoned });
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("ticket", &self.0.status.ticket()).finish_non_exhaustive()
    }
}

/// A probe slot for a call that has not begun. Dropping it gives the slot back.
pub(crate) struct ProbeSlot {
    circuit: &'static Circuit,
    ticket: Ticket,
}

impl ProbeSlot {
    pub(super) fn new(circuit: &'static Circuit, ticket: Ticket) -> Self {
        Self { circuit, ticket }
    }

    /// Returns how long the probe has to report, or `None` if its time has passed.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.circuit.probe_deadline(self.ticket, clock::now()).map(time_until)
    }

    /// Begins the call of the probe, unless its time has passed.
    pub(crate) fn begin(self) -> Option<Permit> {
        let now = clock::now();
        self.circuit.probe_deadline(self.ticket, now)?;
        let permit = self.circuit.begin_call(self.ticket, now);
        std::mem::forget(self); // dropping it would give the slot back
        Some(permit)
    }
}

impl Drop for ProbeSlot {
    fn drop(&mut self) {
        self.circuit.settle(clock::now, self.ticket, 0, Report::Ignored);
    }
}

impl fmt::Debug for ProbeSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeSlot").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
