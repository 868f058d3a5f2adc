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
use crate::error::Refusal;
use crate::permit::{Permit, Place};
use crate::waiters::Waiter;

pub(crate) const NOT_READY: &str =
    "`call` without `poll_ready`: the service has not said that it is ready";

#[derive(Debug)]
pub(crate) struct Gate {
    breaker: CircuitBreaker,
    readiness: Readiness,
    /// As long as there is something to wait for.
    waiter: Option<Box<Waiter>>,
    backpressure: bool,
}

#[derive(Debug)]
enum Readiness {
    /// The inner service is to be asked, while half-open with a probe's place.
    NotReady(Option<Place>),
    /// The inner service is ready; `call` asks for admission, unless there is a place.
    Ready(Option<Place>),
    /// `call` rejects.
    Rejecting(Refusal),
}

/// This is what a breaker adds to a service.
const _: () = assert!(size_of::<Gate>() <= 48);

/// What `poll_ready` is to do.
pub(crate) enum Passage {
    /// Nothing, it is ready.
    Granted,
    /// Ask the inner service.
    Inner,
}

impl Gate {
    pub(crate) fn new(breaker: CircuitBreaker, backpressure: bool) -> Self {
        Self { breaker, readiness: Readiness::NotReady(None), waiter: None, backpressure }
    }

    pub(crate) fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// Whether the inner service is to be asked.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Passage> {
        match self.readiness {
            Readiness::NotReady(None) if self.breaker.circuit().is_closed() => {
                Poll::Ready(Passage::Inner)
            }
            Readiness::NotReady(_) => self.poll_not_closed(cx),
            Readiness::Ready(_) | Readiness::Rejecting(_) => Poll::Ready(Passage::Granted),
        }
    }

    #[cold]
    fn poll_not_closed(&mut self, cx: &mut Context<'_>) -> Poll<Passage> {
        let Err(refusal) = self.reserve() else {
            return Poll::Ready(Passage::Inner);
        };
        if !self.backpressure {
            self.be(Readiness::Rejecting(refusal));
            return Poll::Ready(Passage::Granted);
        }
        self.waiter().register(cx);
        // Again, as it may have changed before it knew of us.
        match self.reserve() {
            Ok(()) => Poll::Ready(Passage::Inner),
            Err(refusal) => {
                if let Some(wait) = refusal.retry_after() {
                    self.waiter().wake_in(wait, cx);
                }
                Poll::Pending
            }
        }
    }

    /// Takes a place if the circuit is half-open, or is to be. If it is closed, none is needed.
    fn reserve(&mut self) -> Result<(), Refusal> {
        if let Some(place) = self.place() {
            if place.time_left().is_some() {
                return Ok(());
            }
        }
        self.readiness = Readiness::NotReady(None);
        if let Some(place) = self.breaker.circuit().reserve()? {
            self.readiness = Readiness::NotReady(Some(place));
        }
        Ok(())
    }

    /// The inner service is not ready: sees to it that the caller comes back when the circuit changes
    /// or the time of the place is over; at once if that has happened meanwhile.
    #[cold]
    pub(crate) fn wait(&mut self, cx: &mut Context<'_>) {
        self.waiter().register(cx);
        let left = match self.place() {
            None if self.breaker.circuit().is_closed() => return,
            None => None,
            Some(place) => place.time_left(),
        };
        match left {
            None => cx.waker().wake_by_ref(),
            // Without a runtime there is no timer. Then only the inner service and the circuit wake
            // the caller, which is better than to panic. Whether a runtime has timers cannot be asked.
            Some(left) if tokio::runtime::Handle::try_current().is_ok() => {
                self.waiter().wake_in(left, cx);
            }
            Some(_) => {}
        }
    }

    /// The inner service is ready.
    #[inline]
    pub(crate) fn grant(&mut self) {
        if let (Readiness::NotReady(None), None) = (&self.readiness, &self.waiter) {
            self.readiness = Readiness::Ready(None); // what almost every call needs
            return;
        }
        self.stop_waiting();
    }

    #[cold]
    fn stop_waiting(&mut self) {
        let place = self.take_place();
        self.be(Readiness::Ready(place));
    }

    /// The inner service has failed to become ready: the permit for its error, if it is to be
    /// counted.
    pub(crate) fn fail(&mut self) -> Option<Permit> {
        let place = self.take_place();
        self.be(Readiness::NotReady(None));
        match place {
            Some(place) => self.breaker.begin(place),
            None => self.breaker.admit().ok(),
        }
    }

    /// Admits a call if nothing stands against it: what almost every call needs.
    #[inline]
    pub(crate) fn enter_if_closed(&mut self) -> Option<Permit> {
        if !matches!(self.readiness, Readiness::Ready(None)) {
            return None;
        }
        let permit = self.breaker.circuit().admit_if_closed()?;
        // Not to be dropped, though there is nothing to drop: if anything could panic here, the permit
        // would have to be in memory, and to move it from there takes as long as all the rest.
        std::mem::forget(std::mem::replace(&mut self.readiness, Readiness::NotReady(None)));
        Some(permit)
    }

    /// Admits or rejects a call.
    pub(crate) fn enter(&mut self) -> Result<Permit, Refusal> {
        let place = match &mut self.readiness {
            Readiness::Ready(place) => place.take(),
            Readiness::Rejecting(refusal) => {
                let refusal = *refusal;
                self.readiness = Readiness::NotReady(None);
                return Err(refusal);
            }
            Readiness::NotReady(_) => {
                panic!("{NOT_READY}")
            }
        };
        self.readiness = Readiness::NotReady(None);
        match place.and_then(|place| self.breaker.begin(place)) {
            Some(permit) => Ok(permit),
            None => self.breaker.admit(),
        }
    }

    fn place(&self) -> Option<&Place> {
        match &self.readiness {
            Readiness::NotReady(place) | Readiness::Ready(place) => place.as_ref(),
            Readiness::Rejecting(_) => None,
        }
    }

    #[inline]
    fn take_place(&mut self) -> Option<Place> {
        match &mut self.readiness {
            Readiness::NotReady(place) | Readiness::Ready(place) => place.take(),
            Readiness::Rejecting(_) => None,
        }
    }

    fn waiter(&mut self) -> &mut Waiter {
        self.waiter.get_or_insert_with(|| Box::new(Waiter::new(self.breaker.clone())))
    }

    /// Stops waiting, with this result.
    #[inline]
    fn be(&mut self, readiness: Readiness) {
        self.readiness = readiness;
        // Asked first, because to drop nothing is a call, too.
        if self.waiter.is_some() {
            self.waiter = None;
        }
    }
}

/// A clone shares the circuit, but not what was granted to the original.
impl Clone for Gate {
    fn clone(&self) -> Self {
        Self::new(self.breaker.clone(), self.backpressure)
    }
}
