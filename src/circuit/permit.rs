//! [`Permit`]: the admission of a call, and the only way to report its result.

use std::fmt;
use std::time::Duration;

use super::{Circuit, StatusWord, clock};
#[cfg(feature = "http")]
use crate::machine::{Machine, Nanos};
use crate::machine::{Report, Tick, Ticket, nanos};

/// What the result of a call says about the health of the dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The dependency works.
    Success,
    /// The dependency does not work.
    Failure,
    /// The dependency does not work, and asked not to be called again for this long. See
    /// [`Permit::failure_retry_after`].
    FailureRetryAfter(Duration),
    /// The dependency is overloaded, not broken: HTTP's 429 or gRPC's `RESOURCE_EXHAUSTED`. This is a
    /// failure to the rates and to a probe, but it neither continues nor ends a streak of
    /// [consecutive failures](crate::CircuitBreakerBuilder::consecutive_failures).
    SoftFailure,
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

/// An admitted call. Its holder has to settle it.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    circuit: &'static Circuit,
    /// The status of the circuit at the admission, with the ticket of the call.
    status: StatusWord,
    /// When the call began, or [`UNTIMED`](super::UNTIMED) if nothing depends on it.
    began: Tick,
}

impl Call {
    #[inline]
    fn settle(self, report: Report) {
        let Self { circuit, status, began } = self;
        if !status.is(StatusWord::WATCHED) {
            circuit.settle(clock::now, status.ticket(), began, report);
        } else if status.is(StatusWord::OBSERVED | StatusWord::SHADOW | StatusWord::AGES) {
            circuit.settle_watched(status, began, report);
        } else {
            circuit.settle_counted(status, began, report);
        }
    }
}

impl Call {
    /// Not inlined, because this code would be part of every future that holds a permit, and would keep
    /// the rest from being inlined (`cargo bench --bench instructions`, "ready + call").
    #[inline(never)]
    fn abandon(self) {
        let may_fail = self.status.is(StatusWord::COUNTS_ABANDONED);
        self.settle(if may_fail { Report::GivenUp } else { Report::Abandoned });
    }
}

impl Permit {
    #[inline]
    pub(super) fn new(circuit: &'static Circuit, status: StatusWord, began: Tick) -> Self {
        Self(Call { circuit, status, began })
    }

    #[cfg(feature = "keyed")]
    #[inline]
    pub(crate) fn of(call: Call) -> Self {
        Self(call)
    }

    /// Says that the dependency has begun to answer, so that the call ages no further: it does not
    /// [hang](crate::CircuitBreakerBuilder::hung_after) and is not slow [in flight](crate::CircuitBreakerBuilder::slow_in_flight)
    /// from now on, however long the answer takes. Its result counts as ever.
    ///
    /// The classifiers for HTTP and gRPC say so when the head of a response has come. This has no effect unless one of
    /// these settings is on.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let breaker = tower_breaker::CircuitBreaker::builder("feed")
    ///     .hung_after(Duration::from_secs(2))
    ///     .build()?;
    ///
    /// let mut permit = breaker.try_acquire().unwrap();
    /// permit.answered(); // the first event has come
    /// tokio::time::advance(Duration::from_secs(3600)).await;
    /// assert_eq!(breaker.snapshot().hung_calls(), Some(0));
    /// permit.success();
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// # }).unwrap();
    /// ```
    pub fn answered(&mut self) {
        let Call { circuit, status, began } = self.0;
        if status.is(StatusWord::AGES) {
            circuit.answered(status, began);
            self.0.status = StatusWord(status.0 & !StatusWord::AGES);
        }
    }

    /// Returns whether the circuit turned the call away and let it through all the same, because not every rejection
    /// is [enforced](crate::CircuitBreakerBuilder::enforcement).
    ///
    /// The result of such a call never counts. Listeners and metrics learn how it ended.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.0.status.is(StatusWord::SHADOW)
    }

    /// Says what is wrong with a call, in words, before its failure is reported.
    ///
    /// Operators see the first 200 bytes of the text: [`CircuitBreaker::last_failure`](crate::CircuitBreaker::last_failure)
    /// returns it, and if the failure opens the circuit, so does the [transition](crate::Transition::last_failure) and its
    /// line in the log. Nothing is kept of failures that nobody describes. The text is formatted at most once a second
    /// for each circuit, and otherwise not at all.
    ///
    /// This reports nothing: the permit is still to be settled. Describe only calls that have failed. A text may contain
    /// what a stranger has sent, and it is escaped where it is shown, but think of secrets in the text of an error.
    ///
    /// # Example
    /// ```
    /// let breaker = tower_breaker::CircuitBreaker::builder("statsd").consecutive_failures(1).build()?;
    /// let permit = breaker.try_acquire().unwrap();
    /// permit.describe_failure("connection refused");
    /// permit.failure();
    ///
    /// let history = breaker.history();
    /// assert_eq!(history[0].last_failure().unwrap().text(), "connection refused");
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// ```
    pub fn describe_failure(&self, what: impl fmt::Display) {
        let Call { circuit, status, .. } = self.0;
        circuit.describe_failure(status.ticket(), &what);
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
    /// If the circuit opens before `wait` has passed, on this failure or a later one, it stays open at
    /// least until then. `wait` is capped by
    /// [`max_retry_after`](crate::CircuitBreakerBuilder::max_retry_after), and then lengthened by up to the
    /// jitter of the [backoff](crate::Backoff::jitter) (0.1 if the open duration is constant), so that
    /// clients with the same retry-after do not return at once. With
    /// [`trip_on_retry_after`](crate::CircuitBreakerBuilder::trip_on_retry_after) the circuit opens on this
    /// failure. A `wait` of zero is no request at all.
    pub fn failure_retry_after(self, wait: Duration) {
        self.record_with_retry_after(Outcome::Failure, Some(wait));
    }

    /// Reports that the callee is overloaded, not broken: see [`Outcome::SoftFailure`].
    pub fn soft_failure(self) {
        self.record(Outcome::SoftFailure);
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
        self.record_with_retry_after(outcome, None);
    }

    /// Reports an outcome. If it is a failure of any kind, `retry_after` is what the callee asked for,
    /// unless the outcome says so itself.
    #[inline]
    pub(crate) fn record_with_retry_after(self, outcome: Outcome, retry_after: Option<Duration>) {
        let retry_after = retry_after.map_or(0, nanos);
        self.into_call().settle(match outcome {
            Outcome::Success => Report::Success,
            Outcome::Failure if retry_after == 0 => Report::Failure,
            Outcome::Failure => Report::FailureRetryAfter(retry_after),
            Outcome::FailureRetryAfter(wait) => Report::FailureRetryAfter(nanos(wait)),
            Outcome::SoftFailure => Report::SoftFailure { retry_after },
            Outcome::Ignored => Report::Ignored,
        });
    }

    /// Returns the circuit and the ticket of the call.
    pub(super) fn circuit_and_ticket(&self) -> (&'static Circuit, Ticket) {
        (self.0.circuit, self.0.status.ticket())
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
    pub(super) fn into_call(self) -> Call {
        let call = self.0;
        std::mem::forget(self);
        call
    }
}

// For response bodies that carry the permit.
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

    /// Returns how long ago the call began, if anything depends on it.
    pub(crate) fn elapsed(&self) -> Option<Nanos> {
        let began = self.0.began;
        (began != super::UNTIMED).then(|| clock::now().saturating_sub(began))
    }

    /// Fixes the duration of a call that is about to be settled: whatever depends on it sees `took`.
    ///
    /// A probe that is too late keeps its real duration, because later probes get more time by it.
    #[cold]
    pub(crate) fn fix_duration(&mut self, took: Nanos) {
        let Call { circuit, status, .. } = self.0;
        let now = clock::now();
        let is_late_probe = || {
            let is_awaited = |machine: &mut Machine| machine.awaits(status.ticket(), now);
            circuit.with_machine(is_awaited) == Some(false)
        };
        if status.is(StatusWord::CLOSED | StatusWord::SHADOW) || !is_late_probe() {
            self.0.began = now.saturating_sub(took);
        }
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
        if silent_for >= circuit.abandoned_after() {
            self.failure();
            return None;
        }
        self.0.status = StatusWord(status.0 & !StatusWord::COUNTS_ABANDONED);
        Some(self)
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("ticket", &self.0.status.ticket()).finish_non_exhaustive()
    }
}
