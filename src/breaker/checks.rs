//! Checks: probes that no caller waits for.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::yield_now;

use super::{CircuitBreaker, WeakCircuitBreaker};
use crate::circuit::{Permit, Waiter, catch_panic};
#[cfg(feature = "keyed")]
use crate::machine::Tick;

impl CircuitBreaker {
    /// Probes the dependency with `check` whenever the circuit would admit a probe, so that the circuit recovers
    /// although nobody calls, and no user's call has to be the probe. Spawn the future that this returns.
    ///
    /// A circuit that is open stays open until a call asks for admission, and that call is the first probe. If calls
    /// are rare, the circuit notices late that the dependency is back; if they are expensive, a check is a cheaper
    /// probe. The future sleeps while the circuit is closed. Once the circuit is open and its wait has elapsed, it
    /// takes a probe slot as a call does, runs the check, reports the result, and goes on until the circuit has
    /// closed:
    ///
    /// | the check | is |
    /// |---|---|
    /// | returns `Ok` | a successful probe; the [half-open rule](crate::HalfOpen) says how many close the circuit |
    /// | returns `Err`, or panics, also when it is created or dropped | a failed probe |
    /// | takes longer than a [probe may take](crate::CircuitBreakerBuilder::probe_timeout) | dropped, and a failed probe |
    /// | is running when its result ceases to count, for example because of [`reset`](Self::reset) | dropped |
    ///
    /// Between failed checks the circuit is open, and its [backoff](crate::Backoff) says for how long. While the
    /// circuit is [forced open](Self::force_open), no check runs. Calls go on to be probes as well: checks and calls
    /// share the probe slots, and whoever finds none waits or is rejected. If several checks are to run at a time, spawn
    /// several of these futures. In [shadow mode](crate::CircuitBreakerBuilder::enforcement) checks are probes, too.
    /// While the circuit recovers by a [ramp](crate::HalfOpen::ramp), calls are judged and no check runs, but the circuit
    /// closes at the end of the ramp even if there is no call.
    ///
    /// The future ends when every handle to the breaker has been dropped, and a check that is running then is
    /// dropped. The future itself does not keep the circuit alive, but layers, services and pages for operators do. To
    /// end it earlier, drop it or abort its task.
    ///
    /// The checks of an unhealthy circuit are told to [listeners](crate::Listener) and counted by the metrics as calls
    /// that are probes.
    ///
    /// # Cost
    /// Nothing for calls. The future sleeps without a timer while the circuit is closed, and is woken only by what
    /// happens to the circuit.
    ///
    /// # Cancel safety
    /// The future can be dropped at any time. If a check is running, it is dropped, and its probe slot is given back.
    ///
    /// # Panics
    /// A panic of the check is caught, after the panic hook has reported it. The future panics if the circuit is not
    /// closed and there is no tokio runtime with timers.
    ///
    /// # Example
    /// A request to a health endpoint is the check:
    /// ```
    /// use std::time::Duration;
    /// use tower_breaker::{CircuitBreaker, State};
    ///
    /// # struct Client;
    /// # impl Client { async fn get(&self, _: &str) -> std::io::Result<()> { Ok(()) } }
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// # let client = std::sync::Arc::new(Client);
    /// let breaker = CircuitBreaker::new("payments");
    /// tokio::spawn(breaker.probe_with(move || {
    ///     let client = client.clone();
    ///     async move { client.get("https://payments.example.com/health").await }
    /// }));
    ///
    /// breaker.trip();
    /// tokio::time::sleep(Duration::from_secs(10)).await; // nobody calls
    /// assert_eq!(breaker.state(), State::Closed);
    /// # });
    /// ```
    #[must_use = "the checks run only if the future is spawned or awaited"]
    pub fn probe_with<F, Fut, E>(&self, mut check: F) -> impl Future<Output = ()> + use<F, Fut, E>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<(), E>>,
    {
        let mut checked = Checked::new(self);
        async move {
            while let Some(permit) = poll_fn(|cx| checked.poll_admit(cx)).await {
                let mut running = Check::begin(permit, &mut check);
                poll_fn(|cx| running.poll(&mut checked, cx)).await;
                // A check that never waits must not keep the thread from other tasks.
                yield_now().await;
            }
        }
    }
}

/// A circuit that is checked. It is kept alive only while it is asked.
struct Checked {
    breaker: WeakCircuitBreaker,
    waiter: Waiter,
}

impl Checked {
    fn new(breaker: &CircuitBreaker) -> Self {
        Self { breaker: breaker.downgrade(), waiter: Waiter::new(breaker.circuit()) }
    }

    /// Waits until the circuit admits a check. Returns `None` once the circuit is gone.
    fn poll_admit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Permit>> {
        self.waiter.register(cx);
        let Some(breaker) = self.breaker.upgrade() else {
            return Poll::Ready(None);
        };
        match breaker.admit_check() {
            Ok(permit) => Poll::Ready(Some(permit)),
            Err(next_look) => {
                self.waiter.wake_at(next_look, cx);
                Poll::Pending
            }
        }
    }
}

/// A check that holds a probe slot. Dropping it gives the slot back.
struct Check<Fut> {
    /// `None` once the result has been reported.
    permit: Option<Permit>,
    future: CatchPanic<Fut>,
}

impl<Fut, E> Check<Fut>
where
    Fut: Future<Output = Result<(), E>>,
{
    fn begin(permit: Permit, check: impl FnOnce() -> Fut) -> Self {
        Self { permit: Some(permit), future: CatchPanic::new(check) }
    }

    /// Waits until the check has been reported, or until its result does not count any more.
    fn poll(&mut self, checked: &mut Checked, cx: &mut Context<'_>) -> Poll<()> {
        checked.waiter.register(cx);
        // The handle is dropped before user code runs, which may take long.
        let breaker = checked.breaker.upgrade();
        let deadline = breaker.and_then(|_| self.permit.as_ref()?.probe_deadline());
        if deadline.is_none() {
            return Poll::Ready(());
        }
        let Poll::Ready(has_succeeded) = self.future.poll(cx) else {
            checked.waiter.wake_at(deadline, cx);
            return Poll::Pending;
        };
        if let Some(permit) = self.permit.take() {
            if has_succeeded { permit.success() } else { permit.failure() }
        }
        Poll::Ready(())
    }
}

impl<Fut> Drop for Check<Fut> {
    fn drop(&mut self) {
        self.future.end();
        if let Some(permit) = self.permit.take() {
            permit.ignore(); // also if abandoned calls may be failures, because nobody has given the check up
        }
    }
}

/// One of several checks that run at a time, each for another circuit.
#[cfg(feature = "keyed")]
pub(crate) struct RunningCheck<Fut> {
    checked: Checked,
    check: Check<Fut>,
}

#[cfg(feature = "keyed")]
impl<Fut, E> RunningCheck<Fut>
where
    Fut: Future<Output = Result<(), E>>,
{
    /// Begins a check, if the circuit admits one now. Otherwise returns when to look again.
    pub(crate) fn begin(
        breaker: &CircuitBreaker,
        check: impl FnOnce() -> Fut,
    ) -> Result<Self, Option<Tick>> {
        let permit = breaker.admit_check()?;
        Ok(Self { checked: Checked::new(breaker), check: Check::begin(permit, check) })
    }

    pub(crate) fn is_of(&self, breaker: &CircuitBreaker) -> bool {
        self.checked.breaker.is_of(breaker)
    }

    /// Waits for the end of the check.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.check.poll(&mut self.checked, cx)
    }
}

/// The future of a check. It may panic when it is created, polled and dropped.
struct CatchPanic<Fut>(Option<Pin<Box<Fut>>>);

impl<Fut> CatchPanic<Fut> {
    fn new(check: impl FnOnce() -> Fut) -> Self {
        let mut future = None;
        catch_panic(|| future = Some(Box::pin(check())));
        Self(future)
    }

    /// Returns whether the check has succeeded. A check that has panicked has not.
    fn poll<E>(&mut self, cx: &mut Context<'_>) -> Poll<bool>
    where
        Fut: Future<Output = Result<(), E>>,
    {
        let mut poll = Poll::Ready(false);
        if let Some(future) = &mut self.0 {
            catch_panic(|| poll = future.as_mut().poll(cx).map(|result| result.is_ok()));
        }
        poll.map(|has_succeeded| self.end() && has_succeeded)
    }

    /// Drops the future. Returns whether it did so without a panic.
    fn end(&mut self) -> bool {
        let future = self.0.take();
        let mut is_dropped = false;
        catch_panic(|| {
            drop(future);
            is_dropped = true;
        });
        is_dropped
    }
}
