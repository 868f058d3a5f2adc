//! The atomic shell around the state machine: what makes a healthy call cheap.
//!
//! # What belongs here
//!
//! Everything about speed, threads and lifetimes: the lock, the words that are read without it, permits, the
//! pool of circuits, waiting callers, the clock, and a wrapper around atomics that a model checker replaces.
//! The [`machine`](crate::machine) decides what a result means for a circuit. It is the only layer that this
//! one imports.
//!
//! # Where to start reading
//!
//! [`Circuit::admit_if_closed`] and [`Circuit::settle`], in [`settling`], are all that a healthy call runs. Then read
//! [`Circuit::with_locked`] for what everything else does, and [`slices`] for how results are settled
//! without the lock.
//!
//! # How it works
//!
//! The [`Machine`] is behind a lock. Next to the lock is a [`StatusWord`], which is all that a call needs to
//! read if it changes nothing. Most calls change nothing: a closed circuit admits them, and
//! their success adds nothing to a failure streak of zero and to a window without failures. Such a call
//! reads the status word twice and writes nothing. A call that finds the circuit open also reads what it
//! is told and until when, and is rejected without the lock.
//!
//! Most other results are collected for the machine in [`slices`]. Everything else takes the lock, asks
//! the machine, and publishes the new state.

mod ages;
mod batch;
mod catch_panic;
mod checks;
pub(crate) mod clock;
mod describe;
mod enforcement;
mod escaped;
#[cfg(feature = "keyed")]
mod idle;
mod in_flight;
mod lifetime;
mod locked;
#[cfg(tower_breaker_loom)]
pub mod model;
mod observer;
mod operators;
mod own_stripe;
mod permit;
pub(crate) mod pool;
mod reading;
mod rejected;
mod reservation;
mod settling;
mod slices;
mod status;
pub(crate) mod sync;
mod waiters;

use std::sync::OnceLock;

use arc_swap::ArcSwapOption;

use self::ages::Ages;
pub(crate) use self::catch_panic::{catch_panic, catching_waker};
use self::enforcement::Enforcement;
pub(crate) use self::escaped::Escaped;
use self::locked::{LockedBreaker, LockedState};
use self::observer::Watch;
pub(crate) use self::observer::{Observer, SettledCall, Watches};
#[cfg(feature = "keyed")]
use self::permit::Call;
pub use self::permit::{Outcome, Permit};
pub use self::rejected::Rejected;
pub(crate) use self::rejected::{Name, time_until};
pub(crate) use self::reservation::Reservation;
use self::slices::{Collected, Slice, Slices};
use self::status::StatusWord;
use self::sync::{AtomicU64, Mutex, MutexGuard, Ordering, lock, update};
pub(crate) use self::waiters::Waiter;
use self::waiters::Waiters;
use crate::machine::{Admission, Machine, NEVER, Refusal, State, Tick, Ticket};

pub(crate) struct Circuit {
    published: PublishedState,
    locked: Mutex<LockedState>,
    /// The observer of calls, if calls are observed.
    watch: ArcSwapOption<Watch>,
    enforcement: Enforcement,
    waiters: Waiters,
    /// Made for the first breaker that watches how long its calls are in flight.
    ages: OnceLock<Box<Ages>>,
}

// A registry may have very many circuits.
#[cfg(not(tower_breaker_loom))]
const _: () = assert!(size_of::<Circuit>() <= 192);

/// What calls read without the lock, on a cache line of its own. It is written with the lock held, and
/// only when it changes.
#[repr(align(64))]
struct PublishedState {
    status: AtomicU64,
    /// The bits of the [`Refusal`] of calls while the circuit is open. While it is forced, open or closed, this says until
    /// when.
    refusal: AtomicU64,
    slices: Slices,
}

const _: () = assert!(size_of::<PublishedState>() == 64);

impl Circuit {
    // ---- admission ----------------------------------------------------------------------------

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.status().is(StatusWord::CLOSED)
    }

    /// Admits a call if the circuit is closed and does not count its calls in flight.
    ///
    /// The circuit of a key has a [method of its own](Self::admit_keyed_if_closed), because counting takes two
    /// instructions of every call that is not counted (`cargo bench --bench instructions`, "consecutive failures").
    #[inline]
    pub(crate) fn admit_if_closed(&'static self) -> Option<Permit> {
        let status = self.status();
        if !status.is(StatusWord::CLOSED)
            || status.is(StatusWord::COUNTS_IN_FLIGHT | StatusWord::AGES)
        {
            return None;
        }
        Some(Permit::new(self, status, beginning(status)))
    }

    /// Admits a call if the circuit is closed. The caller has to make a [`Permit`] of it. It does so once it no longer
    /// looks at the entry of the circuit, because what has a destructor would be in memory meanwhile (`cargo bench
    /// --bench keyed`).
    #[cfg(feature = "keyed")]
    #[inline]
    pub(crate) fn admit_keyed_if_closed(&'static self) -> Option<Call> {
        let status = self.status();
        if !status.is(StatusWord::CLOSED) || status.is(StatusWord::AGES) {
            return None;
        }
        Some(self.permit(status, beginning(status)).into_call())
    }

    /// Admits a call, or says why not. Also returns whether the call is a probe.
    pub(crate) fn admit(&'static self) -> Result<(Permit, bool), Refusal> {
        let (admission, now) = self.acquire(true)?;
        let is_probe = matches!(admission, Admission::Probe(_));
        Ok((self.begin_call(admission.ticket(), now), is_probe))
    }

    /// Reserves the admission of a later call. A closed circuit needs no reservation.
    pub(crate) fn reserve(&'static self) -> Result<Option<Reservation>, Refusal> {
        let (admission, _) = self.acquire(false)?;
        let is_closed = matches!(admission, Admission::Closed(_));
        Ok((!is_closed).then(|| Reservation::new(self, admission)))
    }

    /// Returns how a call is admitted and at what time ([`UNTIMED`] if nothing depends on it), or why it is not.
    /// `begins` says whether the call begins now.
    fn acquire(&self, begins: bool) -> Result<(Admission, Tick), Refusal> {
        let status = self.status();
        if status.is(StatusWord::CLOSED) {
            let (ticket, now) = (status.ticket(), beginning(status));
            let began = match status.is(StatusWord::AGES) {
                false => Some(now),
                true if begins => self.begin_watched(ticket, now),
                true => self.is_up_to_date(ticket, now).then_some(now),
            };
            return match began {
                Some(began) => Ok((Admission::Closed(ticket), began)),
                None => self.acquire_locked(now, begins),
            };
        }
        // If this refusal is already that of a later open period, the circuit is just opening again.
        let refusal = status.is(StatusWord::OPEN).then(|| self.published_refusal());
        if refusal == Some(Refusal::FORCED_OPEN) {
            return Err(Refusal::FORCED_OPEN);
        }
        let now = clock::now();
        if let Some(refusal) = refusal.filter(|refusal| refusal.holds(now)) {
            return Err(refusal);
        }
        self.acquire_locked(now, begins)
    }

    /// Not inlined, so that a rejection does not pay for its stack frame (`cargo bench --bench instructions`,
    /// "rejection while open").
    #[cold]
    #[inline(never)]
    fn acquire_locked(&self, now: Tick, begins: bool) -> Result<(Admission, Tick), Refusal> {
        let admitted = self.with_machine(|machine| {
            let admission = machine.acquire(now)?;
            let began = if begins { machine.begin_call(admission, now) } else { now };
            Ok((admission, began))
        });
        admitted.expect(HAS_BREAKER)
    }

    /// Returns the permit of a call that was admitted with this ticket and begins now.
    fn begin_call(&'static self, ticket: Ticket, now: Tick) -> Permit {
        self.permit(self.status().with_ticket(ticket), now)
    }

    #[inline]
    fn permit(&'static self, status: StatusWord, began: Tick) -> Permit {
        if status.is(StatusWord::COUNTS_IN_FLIGHT) {
            self.published.slices.begin_call();
        }
        Permit::new(self, status, began)
    }

    /// Returns when a caller that waits for admission should look again, unless it is woken before.
    pub(crate) fn next_look(&self) -> Option<Tick> {
        self.with_machine(|machine| machine.next_look()).flatten()
    }

    // ---- everything else ----------------------------------------------------------------------

    #[inline]
    fn status(&self) -> StatusWord {
        StatusWord(self.published.status.load(Ordering::Acquire))
    }

    /// Returns the refusal of the state that the status word was read of, or of a later one.
    #[inline]
    fn published_refusal(&self) -> Refusal {
        Refusal::from_bits(self.published.refusal.load(Ordering::Acquire))
    }

    #[inline]
    fn slice(&self) -> Slice {
        self.published.slices.current(|| self.status())
    }

    fn with_machine<R>(&self, act: impl FnOnce(&mut Machine) -> R) -> Option<R> {
        self.with_locked(lock(&self.locked), |breaker| {
            self.find_overdue_calls(breaker);
            act(breaker.machine())
        })
    }

    /// Lets `act` do something to the machine, and then does what follows from it: publishes the state
    /// and, once the lock has been released, wakes the waiters and notifies the observer. Returns
    /// `None` if the circuit works for no breaker.
    fn with_locked<R>(
        &self,
        mut locked: MutexGuard<'_, LockedState>,
        act: impl FnOnce(&mut LockedBreaker) -> R,
    ) -> Option<R> {
        self.end_slice(&mut locked);
        let breaker = locked.breaker()?;
        let result = act(breaker);
        let has_changed = breaker.machine().has_changed();
        let to_notify = if has_changed { breaker.record() } else { None };
        self.publish(&mut locked);
        drop(locked);

        if has_changed {
            self.waiters.wake_all();
        }
        if let Some(observer) = to_notify {
            self.report_batches();
            observer.notify();
        }
        Some(result)
    }

    /// Ends the slice, and gives the machine what was settled without the lock.
    fn end_slice(&self, locked: &mut LockedState) {
        let Some(breaker) = locked.breaker() else {
            return;
        };
        match self.published.slices.end(self.status()) {
            Collected::Nothing => {}
            Collected::Successes(n) => breaker.machine().settle_successes(n),
            Collected::Results(results) => breaker.machine().settle_results(results),
        }
    }

    /// Makes the state visible to calls that do not take the lock, and begins a slice if they can settle
    /// results in one.
    fn publish(&self, locked: &mut LockedState) {
        let PublishedState { status, refusal, slices } = &self.published;
        let Some(breaker) = locked.breaker() else {
            return update(status, StatusWord::NONE.0);
        };
        self.begin_bucket(breaker);
        let (fixed_flags, machine) = (breaker.fixed_flags(), breaker.machine());
        let effect = machine.effect();
        if machine.is_forced() || machine.state() == State::Open {
            update(refusal, machine.refusal().bits());
        }
        slices.begin(effect, || update(status, StatusWord::of(machine, effect, fixed_flags).0));
        breaker.pack();
    }
}

const HAS_BREAKER: &str = "a circuit is asked only by those who hold its breaker";

/// The beginning of a call that is not timed. Whenever such a call ends, it has taken no time, so it is neither slow
/// nor late if the settings have changed meanwhile.
const UNTIMED: Tick = NEVER;

/// Returns when a call begins that a closed circuit admits with this status, or [`UNTIMED`] if nothing depends on
/// it.
#[inline]
fn beginning(status: StatusWord) -> Tick {
    if status.is(StatusWord::TIMED) { clock::now() } else { UNTIMED }
}

// For tests of the layers below.
#[cfg(test)]
impl Circuit {
    pub(crate) fn hold_lock(&self) -> impl Drop + use<'_> {
        lock(&self.locked)
    }

    pub(crate) fn success_has_no_effect(&self) -> bool {
        self.status().is(StatusWord::NO_EFFECT)
    }
}
