//! Readiness: what `poll_ready` and `call` of the service do with the circuit.
//!
//! Tower asks for readiness before a call, and may wait long for it, forget it, or never use it. So
//! being ready and being admitted are two things here.
//!
//! *Closed.* The inner service decides when it is ready. The call is admitted in `call`, so a trip in
//! between rejects it. While the inner service is not ready, the gate listens for a trip too.
//!
//! *Half-open.* `poll_ready` takes a probe's place before it asks the inner service, so that no more
//! than the permitted number of callers wait for it. The place has the probe's time, like a probe in
//! flight: an idle service cannot keep it.
//!
//! *Open.* The gate grants a rejection, without asking the inner service, or with backpressure waits.
//! What was granted stays granted: a service that was told "ready" in order to be rejected *is*
//! rejected, whatever has happened since, because the inner service was never asked.

use std::task::{Context, Poll};

use crate::breaker::CircuitBreaker;
use crate::error::{Refusal, RejectReason, Rejected};
use crate::permit::Permit;
use crate::waiters::Waiter;

#[derive(Debug)]
pub(crate) struct Gate {
    breaker: CircuitBreaker,
    backpressure: bool,
    granted: Option<Grant>,
    /// A probe's place: held while the inner service is asked, and then for the call.
    place: Option<Permit>,
    /// Made when there is something to wait for, and kept.
    waiter: Option<Box<Waiter>>,
}

/// What the next `call` will do.
#[derive(Debug, Clone, Copy)]
enum Grant {
    /// Ask for admission; the inner service is ready.
    Inner,
    /// Reject.
    Rejection(RejectReason),
}

/// What `poll_ready` is to do.
pub(crate) enum Passage {
    /// Nothing, it is ready.
    Granted,
    /// Ask the inner service.
    Inner,
}

impl Gate {
    pub(crate) fn new(breaker: CircuitBreaker, backpressure: bool) -> Self {
        Self { breaker, backpressure, granted: None, place: None, waiter: None }
    }

    pub(crate) fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// Whether the inner service is to be asked.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Passage> {
        if self.granted.is_some() {
            return Poll::Ready(Passage::Granted);
        }
        if self.place.is_none() && self.breaker.circuit().is_closed() {
            return Poll::Ready(Passage::Inner);
        }
        self.poll_not_closed(cx)
    }

    fn poll_not_closed(&mut self, cx: &mut Context<'_>) -> Poll<Passage> {
        let Err(refusal) = self.reserve() else {
            return Poll::Ready(Passage::Inner);
        };
        if !self.backpressure {
            self.granted = Some(Grant::Rejection(refusal.reason));
            self.stop_waiting();
            return Poll::Ready(Passage::Granted);
        }
        self.waiter().register(cx);
        // Again, as it may have changed before it knew of us.
        match self.reserve() {
            Ok(()) => Poll::Ready(Passage::Inner),
            Err(refusal) => {
                if let Some(wait) = refusal.retry_after {
                    self.waiter().wake_in(wait, cx);
                }
                Poll::Pending
            }
        }
    }

    /// Takes a place if the circuit is half-open, or is to be. If it is closed, none is needed.
    fn reserve(&mut self) -> Result<(), Refusal> {
        if self.place.as_ref().is_some_and(|place| place.time_left().is_some()) {
            return Ok(());
        }
        self.place = None;
        let circuit = self.breaker.circuit();
        let admission = circuit.acquire()?;
        if admission.is_probe {
            self.place = Some(Permit::reserved(circuit, admission));
        }
        Ok(())
    }

    /// The inner service is not ready: ready to ask again if the circuit has changed meanwhile, else
    /// pending until it does or the time of the place is over.
    pub(crate) fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter().register(cx);
        match &self.place {
            None if self.breaker.circuit().is_closed() => Poll::Pending,
            None => Poll::Ready(()),
            Some(place) => match place.time_left() {
                None => Poll::Ready(()),
                Some(left) => {
                    // Without a runtime there is no timer. Then only the inner service and the
                    // circuit wake us, which is better than to panic.
                    if tokio::runtime::Handle::try_current().is_ok() {
                        self.waiter().wake_in(left, cx);
                    }
                    Poll::Pending
                }
            },
        }
    }

    /// The inner service is ready.
    #[inline]
    pub(crate) fn grant(&mut self) {
        self.granted = Some(Grant::Inner);
        self.stop_waiting();
    }

    /// The inner service has failed to become ready: the permit for its error, if it is to be
    /// counted.
    pub(crate) fn fail(&mut self) -> Option<Permit> {
        self.stop_waiting();
        match self.place.take() {
            Some(place) => place.begin(),
            None => self.breaker.try_acquire().ok(),
        }
    }

    /// Admits or rejects a call.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<Permit, Rejected> {
        match self.granted.take() {
            Some(Grant::Inner) => match self.place.take() {
                None => self.breaker.try_acquire(),
                Some(place) => match place.begin() {
                    Some(permit) => Ok(permit),
                    None => self.breaker.try_acquire(),
                },
            },
            Some(Grant::Rejection(reason)) => Err(self.reject(reason)),
            None => {
                panic!("`call` without `poll_ready`: the service has not said that it is ready")
            }
        }
    }

    fn reject(&self, reason: RejectReason) -> Rejected {
        let retry_after = match reason {
            RejectReason::ForcedOpen => None,
            // It may have changed since the rejection was granted, so ask anew.
            RejectReason::Open | RejectReason::HalfOpen => {
                Some(self.breaker.snapshot().retry_after().unwrap_or_default())
            }
        };
        self.breaker.rejected(Refusal { reason, retry_after })
    }

    fn waiter(&mut self) -> &mut Waiter {
        self.waiter.get_or_insert_with(|| Box::new(Waiter::new(self.breaker.clone())))
    }

    #[inline]
    fn stop_waiting(&self) {
        if let Some(waiter) = &self.waiter {
            waiter.unregister();
        }
    }
}

/// A clone shares the circuit, but not what was granted to the original.
impl Clone for Gate {
    fn clone(&self) -> Self {
        Self::new(self.breaker.clone(), self.backpressure)
    }
}
