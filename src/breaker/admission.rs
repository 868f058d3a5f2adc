//! How a call asks a breaker for admission, and what it gets if there is none.

use std::future::poll_fn;
use std::task::Poll;

use super::CircuitBreaker;
use crate::circuit::{Permit, Rejected, Reservation, Waiter};
use crate::machine::{Refusal, Tick};

impl CircuitBreaker {
    /// Asks for admission of one call. The [`Permit`] reports its result. Use this, or [`call`](Self::call),
    /// if your code is not a Tower [`Service`](tower_service::Service).
    ///
    /// # Errors
    /// Returns [`Rejected`] if the circuit is open, if it is half-open and no probe slot is free, or if it
    /// [recovers](crate::HalfOpen::ramp) and admits only a share of the calls, and the
    /// rejection is [enforced](crate::CircuitBreakerBuilder::enforcement), as all are by default.
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
        self.admit_or_let_through().map_err(|refusal| self.reject(refusal))
    }

    /// Waits until the circuit admits a call, and returns the permit of the call.
    ///
    /// If not every rejection is [enforced](crate::CircuitBreakerBuilder::enforcement), a call that need not wait gets
    /// a [shadow permit](Permit::is_shadow) at once. That is decided when the call is first turned away.
    ///
    /// # Cancel safety
    /// This method is cancel safe. A future that is dropped before it completes holds neither a permit nor
    /// a probe slot.
    ///
    /// # Panics
    /// Panics if it has to wait outside of a tokio runtime, or in a runtime without timers.
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
            let is_first = waiter.is_none();
            let admitted = if is_first { self.admit_or_let_through() } else { self.admit() };
            if let Ok(permit) = admitted {
                return Poll::Ready(permit);
            }
            let waiter = waiter.get_or_insert_with(|| Waiter::new(self.circuit()));
            waiter.register(cx);
            match self.admit() {
                Ok(permit) => Poll::Ready(permit),
                Err(_) => {
                    waiter.wake_at(self.circuit().next_look(), cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Admits a call, or returns why not. A refusal is not reported to listeners.
    pub(crate) fn admit(&self) -> Result<Permit, Refusal> {
        let (permit, is_probe) = self.circuit().admit()?;
        if is_probe {
            self.lease.listeners.probe_admitted();
        }
        Ok(permit)
    }

    /// Admits a check as a probe, if one may be admitted now. Otherwise returns when to look again.
    pub(super) fn admit_check(&self) -> Result<Permit, Option<Tick>> {
        let permit = self.circuit().admit_check()?;
        self.lease.listeners.probe_admitted();
        Ok(permit)
    }

    /// Admits a call, or lets it through if its rejection is not enforced. Otherwise returns why it is rejected.
    pub(crate) fn admit_or_let_through(&self) -> Result<Permit, Refusal> {
        self.admit().or_else(|refusal| {
            let is_enforced = self.circuit().enforces(refusal);
            if is_enforced { Err(refusal) } else { Ok(self.let_through(refusal)) }
        })
    }

    /// Begins a call whose admission was reserved, unless that has expired or was given to another caller.
    pub(crate) fn begin(&self, reservation: Reservation) -> Option<Permit> {
        let is_probe = reservation.is_probe();
        let permit = reservation.begin()?;
        if is_probe {
            self.lease.listeners.probe_admitted();
        }
        Some(permit)
    }

    pub(crate) fn reject(&self, refusal: Refusal) -> Rejected {
        let listeners = &self.lease.listeners;
        let rejected = Rejected::new(listeners.name().clone(), refusal);
        listeners.rejected(&rejected);
        rejected
    }

    /// Returns the permit of a call that is made although the circuit turned it away.
    pub(crate) fn let_through(&self, refusal: Refusal) -> Permit {
        let listeners = &self.lease.listeners;
        listeners.would_reject(&Rejected::new(listeners.name().clone(), refusal));
        self.circuit().shadow_permit()
    }
}
