//! [`CircuitBreaker`], the handle that users hold, and its error.

mod admission;
mod call;
mod checks;
mod error;
mod operators;
mod weak;

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use self::call::{Call, errors_are_failures};
#[cfg(feature = "keyed")]
pub(crate) use self::checks::RunningCheck;
pub use self::error::CircuitBreakerError;
pub use self::weak::WeakCircuitBreaker;
#[cfg(feature = "admin")]
use crate::circuit::Name;
#[cfg(feature = "keyed")]
use crate::circuit::sync::{Ordering, fence};
use crate::circuit::{Circuit, Observer, Outcome, clock};
use crate::machine::{Rules, State};
#[cfg(feature = "admin")]
use crate::observe::Watcher;
use crate::observe::{Audience, LastFailure, Listeners, Series, Transition, Transitions};
use crate::snapshot::Snapshot;

/// A circuit breaker: a cheap handle to a circuit, which all clones of the handle share.
///
/// Pass it to a [`CircuitBreakerLayer`](crate::CircuitBreakerLayer) to protect a Tower service, or use
/// [`call`](Self::call) and [`try_acquire`](Self::try_acquire) to protect anything else. Keep a clone to
/// inspect the circuit and to operate it.
///
/// Dropping the last handle ends the circuit. Results of calls that are still in flight then have no
/// effect.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::{CircuitBreaker, State};
///
/// let breaker = CircuitBreaker::builder("payments")
///     .consecutive_failures(3)
///     .open_duration(Duration::from_secs(10))
///     .build()?;
///
/// for _ in 0..3 {
///     breaker.try_acquire().unwrap().failure();
/// }
/// assert_eq!(breaker.state(), State::Open);
///
/// let rejected = breaker.try_acquire().unwrap_err();
/// assert!(rejected.retry_after().unwrap() <= Duration::from_secs(10));
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct CircuitBreaker {
    lease: Arc<Lease>,
}

/// Holds a circuit of the pool, and gives it back when the last handle is dropped.
struct Lease {
    circuit: &'static Circuit,
    listeners: Arc<Listeners>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.circuit.stop();
        self.listeners.stop();
    }
}

impl CircuitBreaker {
    pub(crate) fn start(
        name: Arc<str>,
        series: Series,
        rules: Arc<Rules>,
        audience: Arc<Audience>,
        counts_in_flight: bool,
    ) -> Self {
        let listeners = Arc::new(Listeners::new(name, series, audience));
        // A machine with a seed of 32 bits can be packed.
        let seed = RandomState::new().build_hasher().finish() >> 32;
        let circuit = Circuit::start(rules, listeners.clone(), counts_in_flight, seed);
        listeners.publish();
        let lease = Lease { circuit, listeners };
        Self { lease: Arc::new(lease) }
    }

    /// Returns the name of the breaker, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        self.lease.listeners.name()
    }

    /// Returns the current state.
    ///
    /// Reading the state never changes it. An open circuit whose wait has elapsed stays open until the next
    /// call asks for admission.
    #[must_use]
    pub fn state(&self) -> State {
        // Time alone never changes a closed circuit. While half-open, a probe may have timed out.
        if self.circuit().is_closed() { State::Closed } else { self.snapshot().state() }
    }

    /// Returns the state and the counts of the circuit at one moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let snapshot = Snapshot::new(self.circuit().view());
        self.lease.listeners.publish();
        snapshot
    }

    /// Runs a future if the circuit admits it, and records how it ends: `Err` is a failure, and so is a
    /// panic. [`call_with`](Self::call_with) decides otherwise.
    ///
    /// Nothing happens before the returned future is first polled, which asks for admission. Dropping it
    /// after that abandons the call.
    ///
    /// # Errors
    /// Returns [`CircuitBreakerError::Rejected`] if the call was not admitted. `future` has not been polled
    /// then. Returns [`CircuitBreakerError::Inner`] with the error of `future`.
    ///
    /// # Example
    /// ```
    /// # async fn query() -> Result<u32, std::io::Error> { Ok(42) }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let breaker = tower_breaker::CircuitBreaker::new("database");
    /// let answer = breaker.call(query()).await;
    /// assert_eq!(answer.unwrap(), 42);
    /// # });
    /// ```
    pub fn call<F, T, E>(
        &self,
        future: F,
    ) -> impl Future<Output = Result<T, CircuitBreakerError<E>>> + use<'_, F, T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        Call::new(self, future, errors_are_failures)
    }

    /// Runs a future if the circuit admits it, and records the outcome that `classify` returns for its
    /// result. A panic of the future is a failure. A panic of `classify` abandons the call.
    ///
    /// # Errors
    /// The same as [`call`](Self::call).
    ///
    /// # Example
    /// ```
    /// use std::io::{Error, ErrorKind};
    /// use tower_breaker::{CircuitBreaker, Outcome};
    ///
    /// # async fn lookup() -> Result<u32, Error> { Err(ErrorKind::NotFound.into()) }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let breaker = CircuitBreaker::new("users");
    /// let user = breaker
    ///     .call_with(lookup(), |result| match result {
    ///         Err(error) if error.kind() != ErrorKind::NotFound => Outcome::Failure,
    ///         _ => Outcome::Success,
    ///     })
    ///     .await;
    /// assert!(user.is_err());
    /// assert_eq!(breaker.snapshot().failures(), 0);
    /// # });
    /// ```
    pub fn call_with<F, T, E, C>(
        &self,
        future: F,
        classify: C,
    ) -> impl Future<Output = Result<T, CircuitBreakerError<E>>> + use<'_, F, T, E, C>
    where
        F: Future<Output = Result<T, E>>,
        C: FnOnce(&Result<T, E>) -> Outcome,
    {
        Call::new(self, future, classify)
    }

    /// Runs blocking code if the circuit admits it, and records how it ends: `Err` is a failure, and so is a
    /// panic.
    ///
    /// # Errors
    /// Returns [`CircuitBreakerError::Rejected`] if the call was not admitted; `call` has not run then.
    /// Returns [`CircuitBreakerError::Inner`] with the error of `call`.
    ///
    /// # Example
    /// ```
    /// let breaker = tower_breaker::CircuitBreaker::new("config");
    /// let file = breaker.call_blocking(|| std::fs::read_to_string("/does/not/exist"));
    /// assert!(file.is_err());
    /// assert_eq!(breaker.snapshot().failures(), 1);
    /// ```
    pub fn call_blocking<T, E>(
        &self,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CircuitBreakerError<E>> {
        let permit = self.try_acquire()?;
        let (result, permit) = permit.failing_on_panic(call);
        permit.record(errors_are_failures(&result));
        result.map_err(CircuitBreakerError::Inner)
    }

    /// Returns a handle that does not keep the circuit alive.
    ///
    /// Use it where a handle would otherwise live for too long: in a listener of this breaker, in a registry
    /// of your own, or in a task that runs until the breaker is gone.
    ///
    /// # Example
    /// ```
    /// use tower_breaker::CircuitBreaker;
    ///
    /// let breaker = CircuitBreaker::new("payments");
    /// let weak = breaker.downgrade();
    /// assert!(weak.upgrade().is_some());
    /// drop(breaker);
    /// assert!(weak.upgrade().is_none());
    /// ```
    #[must_use]
    pub fn downgrade(&self) -> WeakCircuitBreaker {
        WeakCircuitBreaker::new(&self.lease)
    }

    /// Returns a stream of the transitions from now on, for code that waits for them, such as a test, a
    /// balancer or a health endpoint. A slow subscriber does not delay anything else.
    ///
    /// A transition happens when the circuit is used: the next call that asks for admission notices that a
    /// wait has elapsed or that a probe has timed out.
    #[must_use]
    pub fn subscribe(&self) -> Transitions {
        self.lease.listeners.subscribe()
    }

    /// Returns the last transitions, up to 8, oldest first. Reading them notifies no listener: if a probe has
    /// timed out and no call has asked for admission since, the history shows that before listeners do.
    #[must_use]
    pub fn history(&self) -> Vec<Transition> {
        let listeners = &self.lease.listeners;
        self.circuit().inspect(|machine, now| listeners.history(machine.unrecorded_change(now)))
    }

    /// Says what went wrong with a call, in words, before its failure is reported.
    ///
    /// [`Permit::describe_failure`](crate::Permit::describe_failure) does the same where there is a permit, and says what
    /// becomes of the text. Tower services have [`Describing`](crate::Describing) for it.
    ///
    /// # Example
    /// ```
    /// use tower_breaker::{CircuitBreaker, Outcome};
    ///
    /// # async fn query() -> Result<u32, std::io::Error> { Err(std::io::Error::other("no such table")) }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let breaker = CircuitBreaker::new("database");
    /// let answer = breaker.call_with(query(), |result| match result {
    ///     Ok(_) => Outcome::Success,
    ///     Err(error) => {
    ///         breaker.describe_failure(error);
    ///         Outcome::Failure
    ///     }
    /// });
    /// assert!(answer.await.is_err());
    /// assert_eq!(breaker.last_failure().unwrap().text(), "no such table");
    /// # });
    /// ```
    pub fn describe_failure(&self, what: impl fmt::Display) {
        self.lease.listeners.describe_failure(clock::now(), &what);
    }

    /// Returns the last failure that was [described](Self::describe_failure), or `None` if none was.
    ///
    /// It stays until another one is described, also while the circuit recovers and when it is
    /// [reset](Self::reset).
    #[must_use]
    pub fn last_failure(&self) -> Option<LastFailure> {
        self.lease.listeners.last_failure()
    }

    #[inline]
    pub(crate) fn circuit(&self) -> &'static Circuit {
        self.lease.circuit
    }
}

// A panic cannot leave a circuit in a broken state: a panic of a listener is caught, and no user code runs
// while the lock of the circuit is held.
impl UnwindSafe for CircuitBreaker {}
impl RefUnwindSafe for CircuitBreaker {}

// For the operator's interface.
#[cfg(feature = "admin")]
impl CircuitBreaker {
    /// Returns the shared name. As a pointer it is the identity of the circuit for as long as somebody holds it.
    pub(crate) fn shared_name(&self) -> &Name {
        self.lease.listeners.name()
    }

    /// Begins to count what is counted only of a circuit that is shown. Returns the rejections since then.
    pub(crate) fn rejections_since_shown(&self) -> u64 {
        self.lease.listeners.rejections_since_shown()
    }

    /// Lets somebody follow the circuit, or all circuits of its registry.
    pub(crate) fn watch(&self, watcher: std::sync::Weak<dyn Watcher>) {
        self.lease.listeners.audience().watch(watcher);
    }
}

// For the registry of per-key circuits.
#[cfg(feature = "keyed")]
impl CircuitBreaker {
    /// Returns whether there are other handles. If there are none, everything that was done through other
    /// handles is visible afterwards.
    pub(crate) fn is_shared(&self) -> bool {
        let is_shared = Arc::strong_count(&self.lease) > 1;
        // `strong_count` reads the count without synchronizing with the threads that dropped their handles.
        fence(Ordering::Acquire);
        is_shared
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name())
            .field("snapshot", &self.snapshot())
            .finish()
    }
}
