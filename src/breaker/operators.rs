//! What operators do to a circuit.

use std::time::Duration;

use super::CircuitBreaker;
use crate::machine::{Machine, OperatorAction, Saved};

impl CircuitBreaker {
    /// Opens the circuit now, to recover as after any other trip. Use this for a signal from outside, such as
    /// a failed health check.
    ///
    /// This has no effect while the wait of an open circuit is running, or while an operator forces the
    /// circuit open or closed. An open circuit whose wait has elapsed opens anew.
    pub fn trip(&self) {
        self.circuit().operate(OperatorAction::Trip);
    }

    /// Closes the circuit and clears its counts and its backoff. A circuit that an operator forces open or
    /// closed stays forced, but its counts and its backoff are cleared as well.
    pub fn reset(&self) {
        self.circuit().operate(OperatorAction::Reset);
    }

    /// Opens the circuit until [`resume`](Self::resume) or [`force_closed`](Self::force_closed) is called.
    /// This is a switch for operators. The backoff does not count it as an open period.
    ///
    /// A circuit that is forced open [for a time](Self::force_open_for) stays so without an end.
    pub fn force_open(&self) {
        self.circuit().operate(OperatorAction::ForceOpen);
    }

    /// Opens the circuit as [`force_open`](Self::force_open) does, and [resumes](Self::resume) it after `duration`.
    ///
    /// Nothing runs in the background. Whoever looks at the circuit once the time is over sees it half-open since then,
    /// and the next call that asks for admission makes it so and notifies listeners. Callers that wait for admission are
    /// woken in time. Calling one of the four methods again, while the circuit is forced, replaces the end.
    ///
    /// Zero resumes at once, so the circuit is half-open. An end more than 73 years after the first breaker of the
    /// process was built counts as none.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use tower_breaker::{CircuitBreaker, State};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let breaker = CircuitBreaker::new("payments");
    /// breaker.force_open_for(Duration::from_secs(600));
    /// assert_eq!(breaker.snapshot().forced_for(), Some(Duration::from_secs(600)));
    /// let rejected = breaker.try_acquire().unwrap_err();
    /// assert_eq!(rejected.retry_after(), Some(Duration::from_secs(600)));
    ///
    /// tokio::time::sleep(Duration::from_secs(600)).await;
    /// assert_eq!(breaker.state(), State::HalfOpen);
    /// # });
    /// ```
    pub fn force_open_for(&self, duration: Duration) {
        self.circuit().operate(OperatorAction::ForceOpenFor { duration });
    }

    /// Closes the circuit until [`resume`](Self::resume) or [`force_open`](Self::force_open) is called.
    /// This is a switch for operators. All calls are admitted and recorded, but no result trips the circuit.
    /// A circuit that is already closed keeps its counts.
    ///
    /// A circuit that is forced closed [for a time](Self::force_closed_for) stays so without an end.
    pub fn force_closed(&self) {
        self.circuit().operate(OperatorAction::ForceClosed);
    }

    /// Closes the circuit as [`force_closed`](Self::force_closed) does, and [resumes](Self::resume) it after `duration`:
    /// the first result after that may trip it, by all that has been counted.
    ///
    /// Nothing runs in the background, and the end can be replaced, as with [`force_open_for`](Self::force_open_for).
    /// Nobody is notified of the end, because the state does not change. Zero resumes at once, so all that remains is
    /// that the circuit is closed.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let breaker = tower_breaker::CircuitBreaker::new("payments");
    /// breaker.force_closed_for(Duration::from_secs(600));
    /// assert!(breaker.snapshot().is_forced());
    ///
    /// tokio::time::sleep(Duration::from_secs(600)).await;
    /// assert!(!breaker.snapshot().is_forced());
    /// # });
    /// ```
    pub fn force_closed_for(&self, duration: Duration) {
        self.circuit().operate(OperatorAction::ForceClosedFor { duration });
    }

    /// Suspects the circuit for at least `for_`: from now on it believes its own eyes sooner. Use this for a signal from
    /// outside that is too weak to [`trip`](Self::trip) the circuit, such as the word of other processes that use the
    /// same dependency.
    ///
    /// While it is suspected, the circuit is judged by a quarter of
    /// [`minimum_calls`](crate::CircuitBreakerBuilder::minimum_calls) (if a count window is smaller than that, of its
    /// size) and half of [`consecutive_failures`](crate::CircuitBreakerBuilder::consecutive_failures), both rounded up.
    /// The other rules stay as they are. This call trips nothing: the next result of a call is judged by the stricter
    /// rules, with all that has been counted before. Probes are judged as ever.
    ///
    /// It ends by time, by [`reset`](Self::reset), or when the circuit next closes. Another call extends it and never
    /// shortens it; zero does nothing. Listeners are notified of each call as an
    /// [operator's action](crate::EventKind::OperatorAction), and of the end by nothing, because the state does not change.
    /// [`Snapshot::suspected_for`](crate::Snapshot::suspected_for) shows it. To say who suspects it and why, use
    /// [`operate`](Self::operate).
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use tower_breaker::{CircuitBreaker, State};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let breaker = CircuitBreaker::builder("payments").consecutive_failures(5).build()?;
    /// breaker.suspect(Duration::from_secs(30));
    /// for _ in 0..3 {
    ///     breaker.try_acquire().unwrap().failure();
    /// }
    /// assert_eq!(breaker.state(), State::Open);
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// # }).unwrap();
    /// ```
    pub fn suspect(&self, for_: Duration) {
        self.circuit().operate(OperatorAction::Suspect { duration: for_ });
    }

    /// Returns the state of the circuit in a form that outlives the process, for
    /// [`CircuitBreakerBuilder::primed`](crate::CircuitBreakerBuilder::primed). [`Saved`] says what it contains.
    ///
    /// Saving changes nothing. Save when the process ends, or every few seconds if it may be killed.
    #[must_use]
    pub fn save(&self) -> Saved {
        self.circuit().inspect(Machine::save)
    }

    /// Ends [`force_open`](Self::force_open) or [`force_closed`](Self::force_closed), also before its time is over. This
    /// has no effect if the circuit is not forced.
    ///
    /// A circuit that was forced open becomes half-open, so the next call is a probe. A circuit that was
    /// forced closed stays closed and keeps its counts, so the next result may trip it.
    pub fn resume(&self) {
        self.circuit().operate(OperatorAction::Resume);
    }
}
