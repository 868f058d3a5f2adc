//! [`Permit`]: the only way to be admitted and the only way to report.

use std::fmt;
use std::time::Duration;

use crate::circuit::Circuit;
use crate::classify::Outcome;
use crate::clock::{self, Tick, nanos};
use crate::state::{Report, Ticket};
use crate::word::Word;

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
pub struct Permit(Call);

const _: () = assert!(size_of::<Permit>() <= 24);

/// An admitted call; whoever holds it has to settle it.
#[derive(Clone, Copy)]
struct Call {
    circuit: &'static Circuit,
    /// The circuit's word at the admission, or one with the ticket of a probe.
    word: Word,
    /// When; 0 if nothing depends on it.
    began: Tick,
}

impl Call {
    #[inline]
    fn settle(self, report: Report) {
        let Self { circuit, word, began } = self;
        if word.is(Word::WATCHED) {
            circuit.settle_watched(word, began, report);
        } else {
            circuit.settle(clock::now, word.ticket(), began, report);
        }
    }
}

impl Permit {
    #[inline]
    pub(crate) fn new(circuit: &'static Circuit, word: Word, began: Tick) -> Self {
        Self(Call { circuit, word, began })
    }

    /// The call succeeded.
    #[inline]
    pub fn success(self) {
        self.into_call().settle(Report::Success);
    }

    /// The call failed.
    #[inline]
    pub fn failure(self) {
        self.into_call().settle(Report::Failure);
    }

    /// The call failed, and the callee wishes to be left alone for `wait`; HTTP's `Retry-After` says
    /// so, for example.
    ///
    /// If the circuit opens on this failure, it stays open for at least that long, up to
    /// [`max_retry_after`](crate::CircuitBreakerBuilder::max_retry_after). With
    /// [`trip_on_retry_after`](crate::CircuitBreakerBuilder::trip_on_retry_after) it does open.
    pub fn failure_retry_after(self, wait: Duration) {
        self.into_call().settle(Report::FailureRetryAfter(nanos(wait)));
    }

    /// The call says nothing about the health of the dependency: it is not counted, and a probe gives
    /// its place back.
    #[inline]
    pub fn ignore(self) {
        self.into_call().settle(Report::Ignored);
    }

    /// Reports what a classifier found.
    #[inline]
    pub fn record(self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.success(),
            Outcome::Failure => self.failure(),
            Outcome::Ignored => self.ignore(),
        }
    }

    /// Runs a part of the protected call; if it panics, the call has failed.
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

    #[inline]
    fn into_call(self) -> Call {
        let call = self.0;
        std::mem::forget(self); // which would abandon it
        call
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        self.0.settle(Report::Abandoned);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("ticket", &self.0.word.ticket()).finish_non_exhaustive()
    }
}

/// A probe's place for a call that has not begun; dropped, it is given back.
pub(crate) struct Place {
    circuit: &'static Circuit,
    ticket: Ticket,
}

impl Place {
    pub(crate) fn new(circuit: &'static Circuit, ticket: Ticket) -> Self {
        Self { circuit, ticket }
    }

    /// How long the probe has to report; `None` if it is too late.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let now = clock::now();
        let end = self.circuit.lease(self.ticket, now)?;
        Some(Duration::from_nanos(end.saturating_sub(now)))
    }

    /// Begins the probe's call, unless it is too late.
    pub(crate) fn begin(self) -> Option<Permit> {
        let now = clock::now();
        self.circuit.lease(self.ticket, now)?;
        let permit = self.circuit.begin(self.ticket, now);
        std::mem::forget(self); // which would give it back
        Some(permit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.circuit.settle(clock::now, self.ticket, 0, Report::Ignored);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
