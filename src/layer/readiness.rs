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
//! *Half-open, while it recovers.* `poll_ready` asks for admission in the same way, and the call that is admitted is
//! reserved. The reservation holds for as long as the period.
//!
//! *Open.* The service is ready at once, without asking the inner service, and `call` rejects. It rejects
//! even if the circuit has closed since `poll_ready`, because the inner service was never asked.
//!
//! *Open, with backpressure.* `poll_ready` waits instead. It also takes readiness back: if the circuit has
//! opened since the service became ready, and `poll_ready` is called again before `call`, it is pending.
//! Tower's balancer asks again in this way. The inner service stays ready for a later call.
//!
//! *Turned away, but not enforced.* `poll_ready` asks the inner service, and `call` makes a shadow call. Which
//! rejections are enforced is decided when a call is first turned away, and holds until `call`.

use std::task::{Context, Poll};

use crate::breaker::CircuitBreaker;
use crate::circuit::{Permit, Reservation, Waiter};
use crate::machine::{NEVER, Refusal};

pub(crate) const NOT_READY: &str =
    "`call` without `poll_ready`: the service has not said that it is ready";

#[derive(Debug)]
pub(super) struct Readiness {
    breaker: CircuitBreaker,
    state: ReadyState,
    backpressure: bool,
    /// The next call was turned away and waits until the circuit admits it.
    has_to_wait: bool,
}

/// Almost every call sees only the first two states. They hold nothing, so that one comparison finds them and
/// one store replaces them (`cargo bench --bench instructions`, "ready + call").
#[derive(Debug)]
enum ReadyState {
    /// The inner service has to be asked.
    NotReady,
    /// The inner service is ready, and `call` asks for admission.
    Ready,
    /// The same, for a call that had to wait for the circuit. If it is turned away again, it is rejected.
    ReadyAfterWait,
    /// The inner service or the circuit has to be asked, and the caller holds something in the meantime.
    Waiting { slot: Option<Reservation>, waiter: Option<Box<Waiter>> },
    /// The inner service is ready, and the admission of the call is reserved.
    Reserved(Reservation),
    /// `call` rejects.
    Rejecting(Refusal),
    /// `call` makes a shadow call, once the inner service is ready.
    LetThrough { refusal: Refusal, waiter: Option<Box<Waiter>>, is_ready: bool },
}

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
        Self { breaker, state: ReadyState::NotReady, backpressure, has_to_wait: false }
    }

    pub(super) fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    // ---- poll_ready ---------------------------------------------------------------------------

    /// Returns whether the inner service has to be asked.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if matches!(self.state, ReadyState::NotReady) && self.breaker.circuit().is_closed() {
            return Poll::Ready(Step::PollInner);
        }
        self.poll_otherwise(cx)
    }

    #[cold]
    fn poll_otherwise(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        match self.state {
            ReadyState::NotReady | ReadyState::Waiting { .. } => self.poll_circuit(cx),
            ReadyState::Ready | ReadyState::ReadyAfterWait
                if self.breaker.circuit().is_closed() =>
            {
                Poll::Ready(Step::Ready)
            }
            ReadyState::LetThrough { .. } if self.breaker.circuit().is_forced_open() => {
                self.state = ReadyState::NotReady;
                self.poll_circuit(cx)
            }
            ReadyState::LetThrough { is_ready: false, .. } => Poll::Ready(Step::PollInner),
            // With backpressure, the service may not be ready any longer.
            ReadyState::Ready | ReadyState::ReadyAfterWait | ReadyState::Reserved(_)
                if self.backpressure =>
            {
                let slot = self.take_slot();
                self.state = ReadyState::Waiting { slot, waiter: None };
                self.poll_circuit(cx)
            }
            ReadyState::Ready
            | ReadyState::ReadyAfterWait
            | ReadyState::Reserved(_)
            | ReadyState::Rejecting(_)
            | ReadyState::LetThrough { .. } => Poll::Ready(Step::Ready),
        }
    }

    fn poll_circuit(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Err(refusal) = self.reserve() else {
            return Poll::Ready(Step::PollInner);
        };
        if self.has_to_wait {
            return self.wait_for_admission(cx);
        }
        if !self.breaker.circuit().enforces(refusal) {
            return self.let_through(refusal);
        }
        if self.backpressure {
            self.has_to_wait = true;
            return self.wait_for_admission(cx);
        }
        self.state = ReadyState::Rejecting(refusal);
        Poll::Ready(Step::Ready)
    }

    #[cold]
    fn let_through(&mut self, refusal: Refusal) -> Poll<Step> {
        self.state = ReadyState::LetThrough { refusal, waiter: None, is_ready: false };
        Poll::Ready(Step::PollInner)
    }

    /// Not inlined, like [`admit_ready`](Self::admit_ready), so that a rejection does not pay for its stack frame
    /// (`cargo bench --bench instructions`, "rejection while open").
    #[inline(never)]
    fn wait_for_admission(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        self.waiter().register(cx);
        // Try again, because the circuit may have changed before the waiter was registered.
        match self.reserve() {
            Ok(()) => Poll::Ready(Step::PollInner),
            Err(_) => {
                let at = self.breaker.circuit().next_look();
                self.waiter().wake_at(at, cx);
                Poll::Pending
            }
        }
    }

    /// Reserves the admission of the call if the circuit is half-open, or becomes half-open by this. A closed
    /// circuit needs no reservation.
    fn reserve(&mut self) -> Result<(), Refusal> {
        if let ReadyState::Waiting { slot, .. } = &mut self.state {
            if slot.as_ref().is_none_or(|slot| slot.deadline().is_none()) {
                *slot = None;
                *slot = self.breaker.circuit().reserve()?;
            }
        } else if let Some(slot) = self.breaker.circuit().reserve()? {
            self.state = ReadyState::Waiting { slot: Some(slot), waiter: None };
        }
        Ok(())
    }

    /// The inner service is not ready. Makes sure that the caller comes back when the circuit changes or
    /// its slot expires, and at once if that has happened in the meantime.
    #[cold]
    pub(super) fn wait(&mut self, cx: &mut Context<'_>) {
        self.waiter().register(cx);
        let deadline = match &self.state {
            ReadyState::Waiting { slot: Some(slot), .. } => slot.deadline(),
            ReadyState::LetThrough { .. } if !self.breaker.circuit().is_forced_open() => return,
            _ if self.breaker.circuit().is_closed() => return,
            _ => None,
        };
        match deadline {
            None => cx.waker().wake_by_ref(),
            Some(NEVER) => {}
            // Without a runtime there is no timer. Then only the inner service and the circuit wake the
            // caller, which is better than a panic. A runtime cannot be asked whether it has timers.
            Some(deadline) if tokio::runtime::Handle::try_current().is_ok() => {
                self.waiter().wake_at(Some(deadline), cx);
            }
            Some(_) => {}
        }
    }

    /// The inner service is ready.
    #[inline]
    pub(super) fn set_ready(&mut self) {
        if matches!(self.state, ReadyState::NotReady) {
            self.set_trivial(ReadyState::Ready);
            return;
        }
        self.stop_waiting();
    }

    #[cold]
    fn stop_waiting(&mut self) {
        if let ReadyState::LetThrough { waiter, is_ready, .. } = &mut self.state {
            (*waiter, *is_ready) = (None, true);
            return;
        }
        let slot = self.take_slot();
        if let Some(slot) = &slot {
            slot.set_ready();
        }
        self.state = match slot {
            Some(slot) => ReadyState::Reserved(slot),
            None if self.has_to_wait => ReadyState::ReadyAfterWait,
            None => ReadyState::Ready,
        };
    }

    /// The inner service has failed to become ready. Returns the permit for its error, if the error is to
    /// be counted.
    pub(super) fn fail(&mut self) -> Option<Permit> {
        if let ReadyState::LetThrough { refusal, .. } = self.state {
            self.state = ReadyState::NotReady;
            return Some(self.breaker.let_through(refusal));
        }
        let slot = self.take_slot();
        (self.state, self.has_to_wait) = (ReadyState::NotReady, false);
        match slot {
            Some(slot) => self.breaker.begin(slot),
            None => self.breaker.admit().ok(),
        }
    }

    // ---- call ---------------------------------------------------------------------------------

    /// Admits a call if nothing stands against it, which is the case for almost every call.
    #[inline]
    pub(super) fn admit_if_closed(&mut self) -> Option<Permit> {
        if !matches!(self.state, ReadyState::Ready) {
            return None;
        }
        let permit = self.breaker.circuit().admit_if_closed()?;
        self.set_trivial(ReadyState::NotReady);
        Some(permit)
    }

    /// Admits or rejects a call.
    ///
    /// # Panics
    /// Panics if the service has not said that it is ready.
    pub(super) fn admit(&mut self) -> Result<Permit, Refusal> {
        if let ReadyState::Rejecting(refusal) = self.state {
            self.set_trivial(ReadyState::NotReady);
            return Err(refusal);
        }
        self.admit_ready()
    }

    #[inline(never)]
    fn admit_ready(&mut self) -> Result<Permit, Refusal> {
        let has_waited = std::mem::take(&mut self.has_to_wait);
        let admitted = match std::mem::replace(&mut self.state, ReadyState::NotReady) {
            ReadyState::Ready | ReadyState::ReadyAfterWait => None,
            ReadyState::Reserved(slot) => self.breaker.begin(slot),
            ReadyState::LetThrough { refusal, is_ready: true, .. } => {
                return match self.breaker.circuit().forced_open() {
                    Some(refusal) => Err(refusal),
                    None => Ok(self.breaker.let_through(refusal)),
                };
            }
            _ => panic!("{NOT_READY}"),
        };
        if let Some(permit) = admitted {
            return Ok(permit);
        }
        if has_waited { self.breaker.admit() } else { self.breaker.admit_or_let_through() }
    }

    // ---- parts --------------------------------------------------------------------------------

    /// Replaces a state that holds nothing. It is forgotten instead of dropped, because if anything could
    /// panic here, the permit would have to be in memory, and moving it from there takes as long as
    /// everything else (`cargo bench --bench overhead`, "consecutive failures").
    #[inline]
    fn set_trivial(&mut self, state: ReadyState) {
        std::mem::forget(std::mem::replace(&mut self.state, state));
    }

    /// Takes the slot and leaves the service not ready.
    fn take_slot(&mut self) -> Option<Reservation> {
        match std::mem::replace(&mut self.state, ReadyState::NotReady) {
            ReadyState::Waiting { slot, .. } => slot,
            ReadyState::Reserved(slot) => Some(slot),
            _ => None,
        }
    }

    fn waiter(&mut self) -> &mut Waiter {
        if !matches!(self.state, ReadyState::Waiting { .. } | ReadyState::LetThrough { .. }) {
            self.state = ReadyState::Waiting { slot: None, waiter: None };
        }
        let circuit = self.breaker.circuit();
        match &mut self.state {
            ReadyState::Waiting { waiter, .. } | ReadyState::LetThrough { waiter, .. } => {
                waiter.get_or_insert_with(|| Box::new(Waiter::new(circuit)))
            }
            _ => unreachable!("the state has just been set"),
        }
    }
}

/// A clone shares the circuit, but it is not ready.
impl Clone for Readiness {
    fn clone(&self) -> Self {
        Self::new(self.breaker.clone(), self.backpressure)
    }
}
