//! [`Readiness`]: what `poll_ready` and `call` do with the circuit.
//!
//! Tower asks for readiness before a call, and may wait long for it, forget it, or never use it. So
//! becoming ready and being admitted are two separate steps here.
//!
//! *Closed.* The inner service decides when it is ready. The call is admitted in `call`, so a trip in
//! between rejects it. While the inner service is not ready, the caller is also woken by a trip.
//!
//! *Half-open.* `poll_ready` takes a probe slot before it asks the inner service, so that no more than the
//! permitted number of callers wait for it. While the inner service is not ready, the slot is like a probe
//! in flight: the probe fails if that lasts for longer than a probe's time. Once the inner service is
//! ready, the slot yields to any caller that finds no other, and expires without a verdict, so that an idle
//! service neither keeps others from probing nor fails a probe. `call` starts the probe's time anew, and
//! asks for admission again if the slot is gone.
//!
//! *Open.* The service is ready at once, without asking the inner service, and `call` rejects. A service
//! that has said it is ready stays ready: if it did so in order to reject, `call` *does* reject, whatever
//! has happened since, because the inner service was never asked.
//!
//! *Open, with backpressure.* `poll_ready` waits instead. It also takes readiness back: a service that is
//! asked again before `call`, as tower's balancer does, is not ready any longer if the circuit has opened.
//! What the inner service has granted, it keeps for later.

use std::task::{Context, Poll};

use crate::breaker::CircuitBreaker;
use crate::circuit::{Permit, ProbeSlot, Waiter};
use crate::machine::Refusal;

pub(crate) const NOT_READY: &str =
    "`call` without `poll_ready`: the service has not said that it is ready";

#[derive(Debug)]
pub(super) struct Readiness {
    breaker: CircuitBreaker,
    state: ReadyState,
    /// Present while there is something to wait for.
    waiter: Option<Box<Waiter>>,
    backpressure: bool,
}

#[derive(Debug)]
enum ReadyState {
    /// The inner service has to be asked; while half-open, with a probe slot.
    NotReady(Option<ProbeSlot>),
    /// The inner service is ready. Without a slot, `call` asks for admission.
    Ready(Option<ProbeSlot>),
    /// `call` rejects.
    Rejecting(Refusal),
}

/// This is what a breaker adds to the size of a service.
const _: () = assert!(size_of::<Readiness>() <= 48);

/// What `poll_ready` has to do next.
pub(super) enum Step {
    /// Nothing: the service is ready.
    Ready,
    /// Ask the inner service.
    PollInner,
}

impl Readiness {
    pub(super) fn new(breaker: CircuitBreaker, backpressure: bool) -> Self {
        Self { breaker, state: ReadyState::NotReady(None), waiter: None, backpressure }
    }

    pub(super) fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    // ---- poll_ready ---------------------------------------------------------------------------

    /// Returns whether the inner service has to be asked.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if matches!(self.state, ReadyState::NotReady(None)) && self.breaker.circuit().is_closed() {
            return Poll::Ready(Step::PollInner);
        }
        self.poll_otherwise(cx)
    }

    #[cold]
    fn poll_otherwise(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        match &mut self.state {
            ReadyState::NotReady(_) => self.poll_not_closed(cx),
            ReadyState::Ready(None) if self.breaker.circuit().is_closed() => {
                Poll::Ready(Step::Ready)
            }
            // With backpressure, the service may not be ready any longer.
            ReadyState::Ready(slot) if self.backpressure => {
                self.state = ReadyState::NotReady(slot.take());
                self.poll_not_closed(cx)
            }
            ReadyState::Ready(_) | ReadyState::Rejecting(_) => Poll::Ready(Step::Ready),
        }
    }

    fn poll_not_closed(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Err(refusal) = self.reserve() else {
            return Poll::Ready(Step::PollInner);
        };
        if !self.backpressure {
            self.set(ReadyState::Rejecting(refusal));
            return Poll::Ready(Step::Ready);
        }
        self.waiter().register(cx);
        // Asked again, because the circuit may have changed before it knew of the waiter.
        match self.reserve() {
            Ok(()) => Poll::Ready(Step::PollInner),
            Err(_) => {
                if let Some(at) = self.breaker.circuit().next_look() {
                    self.waiter().wake_at(at, cx);
                }
                Poll::Pending
            }
        }
    }

    /// Takes a probe slot if the circuit is half-open or becomes so. A closed circuit needs none.
    fn reserve(&mut self) -> Result<(), Refusal> {
        if let Some(slot) = self.slot() {
            if slot.deadline().is_some() {
                return Ok(());
            }
        }
        self.state = ReadyState::NotReady(None);
        if let Some(slot) = self.breaker.circuit().reserve()? {
            self.state = ReadyState::NotReady(Some(slot));
        }
        Ok(())
    }

    /// The inner service is not ready. Makes sure that the caller comes back when the circuit changes or
    /// the time of its slot has passed, and at once if that has happened in the meantime.
    #[cold]
    pub(super) fn wait(&mut self, cx: &mut Context<'_>) {
        self.waiter().register(cx);
        let deadline = match self.slot() {
            None if self.breaker.circuit().is_closed() => return,
            None => None,
            Some(slot) => slot.deadline(),
        };
        match deadline {
            None => cx.waker().wake_by_ref(),
            // Without a runtime there is no timer. Then only the inner service and the circuit wake the
            // caller, which is better than a panic. A runtime cannot be asked whether it has timers.
            Some(deadline) if tokio::runtime::Handle::try_current().is_ok() => {
                self.waiter().wake_at(deadline, cx);
            }
            Some(_) => {}
        }
    }

    /// The inner service is ready.
    #[inline]
    pub(super) fn set_ready(&mut self) {
        if let (ReadyState::NotReady(None), None) = (&self.state, &self.waiter) {
            self.state = ReadyState::Ready(None); // this is the case of almost every call
            return;
        }
        self.stop_waiting();
    }

    #[cold]
    fn stop_waiting(&mut self) {
        let slot = self.take_slot();
        if let Some(slot) = &slot {
            slot.set_ready();
        }
        self.set(ReadyState::Ready(slot));
    }

    /// The inner service has failed to become ready. Returns the permit for its error, if the error is to
    /// be counted.
    pub(super) fn fail(&mut self) -> Option<Permit> {
        let slot = self.take_slot();
        self.set(ReadyState::NotReady(None));
        match slot {
            Some(slot) => self.breaker.begin(slot),
            None => self.breaker.admit().ok(),
        }
    }

    // ---- call ---------------------------------------------------------------------------------

    /// Admits a call if nothing stands against it, which is the case of almost every call.
    #[inline]
    pub(super) fn admit_if_closed(&mut self) -> Option<Permit> {
        if !matches!(self.state, ReadyState::Ready(None)) {
            return None;
        }
        let permit = self.breaker.circuit().admit_if_closed()?;
        // Forgotten instead of dropped, though there is nothing to drop. If anything could panic here,
        // the permit would have to be in memory, and moving it from there takes as long as everything
        // else (`cargo bench --bench overhead`, "consecutive failures").
        std::mem::forget(std::mem::replace(&mut self.state, ReadyState::NotReady(None)));
        Some(permit)
    }

    /// Admits or rejects a call.
    ///
    /// # Panics
    /// Panics if the service has not said that it is ready.
    pub(super) fn admit(&mut self) -> Result<Permit, Refusal> {
        let slot = match &mut self.state {
            ReadyState::Ready(slot) => slot.take(),
            ReadyState::Rejecting(refusal) => {
                let refusal = *refusal;
                self.state = ReadyState::NotReady(None);
                return Err(refusal);
            }
            ReadyState::NotReady(_) => {
                panic!("{NOT_READY}")
            }
        };
        self.state = ReadyState::NotReady(None);
        match slot.and_then(|slot| self.breaker.begin(slot)) {
            Some(permit) => Ok(permit),
            None => self.breaker.admit(),
        }
    }

    // ---- parts --------------------------------------------------------------------------------

    fn slot(&self) -> Option<&ProbeSlot> {
        match &self.state {
            ReadyState::NotReady(slot) | ReadyState::Ready(slot) => slot.as_ref(),
            ReadyState::Rejecting(_) => None,
        }
    }

    #[inline]
    fn take_slot(&mut self) -> Option<ProbeSlot> {
        match &mut self.state {
            ReadyState::NotReady(slot) | ReadyState::Ready(slot) => slot.take(),
            ReadyState::Rejecting(_) => None,
        }
    }

    fn waiter(&mut self) -> &mut Waiter {
        let circuit = self.breaker.circuit();
        self.waiter.get_or_insert_with(|| Box::new(Waiter::new(circuit)))
    }

    /// Stops waiting, with this result.
    #[inline]
    fn set(&mut self, state: ReadyState) {
        self.state = state;
        // Asked first, because dropping nothing is a call as well.
        if self.waiter.is_some() {
            self.waiter = None;
        }
    }
}

/// A clone shares the circuit, but does not inherit the readiness.
impl Clone for Readiness {
    fn clone(&self) -> Self {
        Self::new(self.breaker.clone(), self.backpressure)
    }
}
