//! [`CircuitBreaker`], the handle that users hold, and its error.

mod call;
mod error;
mod weak;

use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::Poll;

use self::call::{Call, errors_are_failures};
pub use self::error::CircuitBreakerError;
pub use self::weak::WeakCircuitBreaker;
#[cfg(feature = "keyed")]
use crate::circuit::sync::{Ordering, fence};
use crate::circuit::{Circuit, Observer, Outcome, Permit, ProbeSlot, Rejected, Waiter};
use crate::machine::{OperatorAction, Refusal, Rules, State};
use crate::observe::{Listener, Listeners, Series, Transition, Transitions};
use crate::snapshot::Snapshot;

/// A circuit breaker: a cheap handle to a circuit, whose clones are the same circuit.
///
/// Put it into a [`CircuitBreakerLayer`](crate::CircuitBreakerLayer) to protect a Tower service, or
/// use [`call`](Self::call) and [`try_acquire`](Self::try_acquire) around anything else. Keep a
/// clone to look at the circuit and to operate it.
///
/// When the last handle is dropped, the circuit is gone, and the results of calls that are still in
/// flight with it.
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

/// A circuit of the pool, for as long as there are handles.
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
        rules: Rules,
        listeners: Vec<Arc<dyn Listener>>,
        counts_in_flight: bool,
    ) -> Self {
        let listeners = Arc::new(Listeners::new(name, series, listeners)); // may panic
        let seed = RandomState::new().build_hasher().finish();
        let circuit = Circuit::start(rules, listeners.clone(), counts_in_flight, seed);
        listeners.publish();
        let lease = Lease { circuit, listeners };
        Self { lease: Arc::new(lease) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.lease.listeners.name()
    }

    /// The present state. Looking never moves it: a circuit whose wait is over is open until a call
    /// asks for admission.
    #[must_use]
    pub fn state(&self) -> State {
        // What time can do by itself, it does to probes.
        if self.circuit().is_closed() { State::Closed } else { self.snapshot().state() }
    }

    /// One consistent look at the circuit.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let snapshot = Snapshot::new(self.circuit().view());
        self.lease.listeners.publish();
        snapshot
    }

    /// Asks for admission of one call: for code that is no [`Service`](tower_service::Service).
    ///
    /// # Errors
    /// [`Rejected`] if the circuit is open, or half-open with all its probes in flight.
    ///
    /// # Example
    /// ```
    /// # fn send() -> std::io::Result<()> { Ok(()) }
    /// let breaker = tower_breaker::CircuitBreaker::new("statsd");
    ///
    /// let permit = breaker.try_acquire()?;
    /// match send() {
    ///     Ok(()) => permit.success(),
    ///     Err(_) => permit.failure(),
    /// }
    /// # Ok::<(), tower_breaker::Rejected>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        match self.circuit().admit_if_closed() {
            Some(permit) => Ok(permit),
            None => self.try_acquire_if_not_closed(),
        }
    }

    #[cold]
    fn try_acquire_if_not_closed(&self) -> Result<Permit, Rejected> {
        self.admit().map_err(|refusal| self.reject(refusal))
    }

    /// Waits until a call is admitted.
    ///
    /// Cancel safe: who stops waiting has taken nothing.
    ///
    /// # Panics
    /// If it has to wait outside of a tokio runtime, or in one without timers.
    ///
    /// # Example
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let breaker = tower_breaker::CircuitBreaker::new("queue");
    /// let permit = breaker.acquire().await;
    /// permit.success();
    /// # });
    /// ```
    pub async fn acquire(&self) -> Permit {
        let mut waiter = None;
        poll_fn(|cx| {
            if let Ok(permit) = self.admit() {
                return Poll::Ready(permit);
            }
            let waiter = waiter.get_or_insert_with(|| Waiter::new(self.circuit()));
            waiter.register(cx);
            match self.admit() {
                Ok(permit) => Poll::Ready(permit),
                Err(_) => {
                    if let Some(at) = self.circuit().next_look() {
                        waiter.wake_at(at, cx);
                    }
                    Poll::Pending
                }
            }
        })
        .await
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

    /// Opens the circuit now, to recover as usual: for a signal from outside, such as a failed
    /// health check. Without effect if it is open already or held by an operator.
    pub fn trip(&self) {
        self.circuit().operate(OperatorAction::Trip);
    }

    /// Closes the circuit and forgets everything, the backoff too. A circuit that an operator holds
    /// open or closed stays so, but forgets as well.
    pub fn reset(&self) {
        self.circuit().operate(OperatorAction::Reset);
    }

    /// Opens the circuit until [`resume`](Self::resume) or
    /// [`force_closed`](Self::force_closed): an operator's switch. It is no open period for the
    /// backoff.
    pub fn force_open(&self) {
        self.circuit().operate(OperatorAction::ForceOpen);
    }

    /// Closes the circuit until [`resume`](Self::resume) or [`force_open`](Self::force_open): an
    /// operator's switch. Everything is admitted and still recorded, but nothing trips. If it was
    /// closed already, its counts stay.
    pub fn force_closed(&self) {
        self.circuit().operate(OperatorAction::ForceClosed);
    }

    /// Ends [`force_open`](Self::force_open): the circuit is half-open, so the next call is a probe.
    /// Ends [`force_closed`](Self::force_closed): the circuit is closed and keeps its counts, which
    /// the next result may trip. Without effect if it is not forced.
    pub fn resume(&self) {
        self.circuit().operate(OperatorAction::Resume);
    }

    /// The transitions from now on, as a stream: for code that waits for them, such as a test, a
    /// balancer or a health endpoint. A subscriber that is slow keeps nobody waiting.
    ///
    /// A transition happens when somebody uses the circuit: that a wait is over, or that a probe has
    /// timed out, is noticed by the next call.
    #[must_use]
    pub fn subscribe(&self) -> Transitions {
        self.lease.listeners.subscribe()
    }

    /// The last transitions, up to 8, oldest first. Looking does not tell anybody: if a probe has
    /// timed out and nobody has asked for admission since, this shows it before listeners hear of it.
    #[must_use]
    pub fn history(&self) -> Vec<Transition> {
        let listeners = &self.lease.listeners;
        self.circuit().inspect(|machine, now| listeners.history(machine.unrecorded_change(now)))
    }

    #[inline]
    pub(crate) fn circuit(&self) -> &'static Circuit {
        self.lease.circuit
    }

    /// Admits a call or says why not, without telling anybody that it did not.
    pub(crate) fn admit(&self) -> Result<Permit, Refusal> {
        let (permit, is_probe) = self.circuit().admit()?;
        if is_probe {
            self.lease.listeners.probe_admitted();
        }
        Ok(permit)
    }

    /// Begins the call of a probe that has its place, unless it is too late.
    pub(crate) fn begin(&self, slot: ProbeSlot) -> Option<Permit> {
        let permit = slot.begin()?;
        self.lease.listeners.probe_admitted();
        Some(permit)
    }

    pub(crate) fn reject(&self, refusal: Refusal) -> Rejected {
        let listeners = &self.lease.listeners;
        let rejected = Rejected::new(listeners.name().clone(), refusal);
        listeners.rejected(&rejected);
        rejected
    }
}

// A panic of a listener is caught, and no user code runs under a lock of the circuit.
impl UnwindSafe for CircuitBreaker {}
impl RefUnwindSafe for CircuitBreaker {}

/// What a registry needs to know.
#[cfg(feature = "keyed")]
impl CircuitBreaker {
    /// Whether there are other handles. What those did that are gone is seen afterwards.
    pub(crate) fn is_shared(&self) -> bool {
        let is_shared = Arc::strong_count(&self.lease) > 1;
        fence(Ordering::Acquire); // as the count is read without
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
