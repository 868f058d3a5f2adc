//! [`Readiness`]: what `poll_ready` and `call` do with the circuit.
//!
//! A caller may wait for `poll_ready` for a long time, stop polling, or never call a service that is ready.
//! So becoming ready and being admitted are two separate steps here.
//!
//! *Closed.* The service is ready when the inner service is. The call is admitted in `call`, so it is
//! rejected if the circuit has opened in between. A caller that waits for the inner service is also woken
//! when the circuit opens.
//!
//! *Half-open.* `poll_ready` takes a probe slot before it asks the inner service, so no more callers wait for
//! the inner service than there are probe slots. While the inner service is not ready, the slot counts as a
//! probe in flight, which fails when its time has passed. Once the inner service is ready, the slot is idle.
//! It goes to any caller that finds no other slot, and it expires without a verdict. So an idle service
//! neither prevents others from probing nor fails a probe. `call` starts the time of the probe anew. If the
//! slot is gone, `call` asks for admission again.
//!
//! *Open.* The service is ready at once, without asking the inner service, and `call` rejects. It rejects
//! even if the circuit has closed since `poll_ready`, because the inner service was never asked.
//!
//! *Open, with backpressure.* `poll_ready` waits instead. It also takes readiness back: if the circuit has
//! opened since the service became ready, and `poll_ready` is called again before `call`, it is pending.
//! Tower's balancer asks again in this way. The inner service stays ready for a later call.

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
    /// Present while the caller waits.
    waiter: Option<Box<Waiter>>,
    backpressure: bool,
}

#[derive(Debug)]
enum ReadyState {
    /// The inner service has to be asked. While half-open, the service holds a probe slot for that.
    NotReady(Option<ProbeSlot>),
    /// The inner service is ready. Without a slot, `call` asks for admission.
    Ready(Option<ProbeSlot>),
    /// The service is ready, and `call` rejects.
    Rejecting(Refusal),
}

// A breaker adds this much to the size of a service.
const _: () = assert!(size_of::<Readiness>() <= 48);

/// What `poll_ready` has to do next.
pub(super) enum Step {
    /// Return `Ready`.
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

    /// Returns whether the service is ready or the inner service has to be asked.
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
            // The circuit may have opened since the service became ready.
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
        // Try again, because the circuit may have changed before the waiter was registered.
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

    /// Takes a probe slot if the circuit is half-open, or becomes half-open. A closed circuit needs no slot.
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

    /// Called when the inner service is not ready. Wakes the caller when the circuit changes or when its slot
    /// expires, and at once if either has already happened.
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
            // Outside of a runtime there are no timers. Only the inner service and the circuit wake the caller
            // then, which is better than a panic. Whether a runtime has timers cannot be found out.
            Some(deadline) if tokio::runtime::Handle::try_current().is_ok() => {
                self.waiter().wake_at(deadline, cx);
            }
            Some(_) => {}
        }
    }

    /// Called when the inner service is ready.
    #[inline]
    pub(super) fn set_ready(&mut self) {
        if let (ReadyState::NotReady(None), None) = (&self.state, &self.waiter) {
            self.state = ReadyState::Ready(None); // almost every call ends here
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

    /// Called when `poll_ready` of the inner service has returned an error. Returns a permit to report the
    /// error with, unless the circuit does not admit one.
    pub(super) fn fail(&mut self) -> Option<Permit> {
        let slot = self.take_slot();
        self.set(ReadyState::NotReady(None));
        match slot {
            Some(slot) => self.breaker.begin(slot),
            None => self.breaker.admit().ok(),
        }
    }

    // ---- call ---------------------------------------------------------------------------------

    /// Admits a call if the service is ready and the circuit is closed, as for almost every call.
    #[inline]
    pub(super) fn admit_if_closed(&mut self) -> Option<Permit> {
        if !matches!(self.state, ReadyState::Ready(None)) {
            return None;
        }
        let permit = self.breaker.circuit().admit_if_closed()?;
        // The old state is forgotten, although dropping it would do nothing. If anything could panic here,
        // the permit would have to be in memory, and moving it from there takes as long as everything else
        // (`cargo bench --bench overhead`, "consecutive failures").
        std::mem::forget(std::mem::replace(&mut self.state, ReadyState::NotReady(None)));
        Some(permit)
    }

    /// Admits or rejects a call.
    ///
    /// # Panics
    /// Panics if `poll_ready` has not returned `Ready`.
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

    /// Sets the state and drops the waiter.
    #[inline]
    fn set(&mut self, state: ReadyState) {
        self.state = state;
        // Without this check, dropping `None` would still be a function call.
        if self.waiter.is_some() {
            self.waiter = None;
        }
    }
}

/// A clone shares the circuit, but it is not ready.
impl Clone for Readiness {
    fn clone(&self) -> Self {
        Self::new(self.breaker.clone(), self.backpressure)
    }
}
