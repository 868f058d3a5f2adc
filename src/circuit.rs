//! The atomic shell around the state machine: what makes a healthy call cheap.
//!
//! The [`Machine`] is behind a lock. Beside the lock stands one atomic word that says what a call
//! needs to know if it is to change nothing, and most calls change nothing: they are admitted by a
//! closed circuit, and their success adds nothing to a run of failures that is zero and to a window
//! that holds no failure. Such a call reads the word twice and writes nothing. A call that finds the
//! circuit open reads the end of the wait beside it and is turned away without the lock, too.
//! Everything else takes the lock, asks the machine and publishes what is true then.
//!
//! # Slices
//!
//! A time window must count every success, and so must a count window that holds a failure. Cores
//! would fight over one counter, so there are several, the *stripes*, of which a thread uses one. A
//! stripe holds the number of the present *slice* and the successes counted in it. A slice is a
//! stretch of time in which successes are merely counted: within one bucket of a time window, without
//! a failure, a transition or anything else that takes the lock. Whoever takes the lock ends the
//! slice: it swaps a new number into every stripe and hands the successes that it finds there to the
//! machine before it does anything else.
//!
//! A success is counted by one compare-and-swap that adds 1 to a stripe that carries the slice's
//! number. Before, its caller has read, in this order: the number of the slice, the word (does it
//! carry my ticket, may successes be counted?) and the end of the slice. Whoever ends a slice writes
//! in the opposite order: the stripes, the end, the word, the number. So a caller that read the
//! number and finds it in its stripe has read a word and an end at least as new as that number, and
//! none newer, because what is newer was written after the stripe had lost the number. Hence no
//! success is counted for a period or a bucket that is not its own, and none is lost.

use std::sync::Arc;

use crate::clock::{self, NEVER, Tick};
use crate::config::Rules;
use crate::error::{Refusal, RejectReason};
use crate::listeners::Listeners;
use crate::permit::{Permit, Place};
use crate::snapshot::{Snapshot, State};
use crate::state::{Admission, Machine, Report, Ticket};
use crate::stripes::Stripes;
use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::transition::Transition;
use crate::waiters::Waiters;
use crate::window::Effect;

pub(crate) struct Circuit {
    front: Front,
    stripes: Stripes,
    behind: Mutex<Behind>,
    pub(crate) waiters: Waiters,
}

/// What calls read without the lock: on a cache line of its own, written with the lock held and
/// only when it changes.
#[derive(Default)]
#[repr(align(64))]
struct Front {
    word: AtomicU64,
    /// When the wait is over, while open.
    open_until: AtomicU64,
    /// From how many nanoseconds on a call is slow.
    slow_after: AtomicU64,
    /// The number of the present slice, and when it ends.
    slice: AtomicU64,
    slice_end: AtomicU64,
}

#[derive(Default)]
struct Behind {
    tenant: Option<Tenant>,
    /// The last ticket of the tenants before: no ticket is ever given twice.
    last_ticket: Ticket,
    slice: u64,
    /// Whether successes may have been counted in this slice.
    slice_is_live: bool,
}

/// The breaker that a circuit works for at present.
struct Tenant {
    machine: Machine,
    name: Arc<str>,
    listeners: Arc<Listeners>,
}

/// What the word says. The ticket of a closed period takes the upper 56 bits: at a transition every
/// microsecond they last for two thousand years.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    const CLOSED: u64 = 1;
    /// Open, not forced: rejects until `open_until`.
    const OPEN: u64 = 1 << 1;
    const FORCED_OPEN: u64 = 1 << 2;
    /// The time of a call's beginning will be needed.
    const TIMED: u64 = 1 << 3;
    /// A success that is not slow changes nothing.
    const SUCCESS_IS_NOTHING: u64 = 1 << 4;
    /// A success that is not slow may be counted in the present slice.
    const SUCCESS_IS_COUNTED: u64 = 1 << 5;
    const TICKET_SHIFT: u32 = 8;

    fn of(machine: &Machine, effect_of_success: Effect) -> Self {
        let mut word = match machine.state() {
            State::Closed => Self::CLOSED,
            State::Open if machine.is_forced() => Self::FORCED_OPEN,
            State::Open => Self::OPEN,
            State::HalfOpen => 0,
        };
        if machine.rules().times_calls() {
            word |= Self::TIMED;
        }
        word |= match effect_of_success {
            Effect::Nothing => Self::SUCCESS_IS_NOTHING,
            Effect::CountedUntil(_) => Self::SUCCESS_IS_COUNTED,
            Effect::Any => 0,
        };
        Self(word | machine.closed_ticket().unwrap_or(0) << Self::TICKET_SHIFT)
    }

    fn is(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    fn ticket(self) -> Ticket {
        self.0 >> Self::TICKET_SHIFT
    }
}

impl Circuit {
    pub(crate) fn new() -> Self {
        Self {
            front: Front::default(),
            stripes: Stripes::new(),
            behind: Mutex::default(),
            waiters: Waiters::default(),
        }
    }

    /// Begins to work for a breaker.
    pub(crate) fn start(&self, rules: Rules, name: Arc<str>, listeners: Arc<Listeners>, seed: u64) {
        let mut behind = lock(&self.behind);
        let machine = Machine::new(rules, behind.last_ticket, seed, clock::now());
        let slow_after = rules.slow_call_duration.unwrap_or(NEVER);
        self.front.slow_after.store(slow_after, Ordering::Release);
        behind.tenant = Some(Tenant { machine, name, listeners });
        self.publish(&mut behind);
    }

    /// Stops. Permits that are left find no period of theirs any more.
    pub(crate) fn stop(&self) {
        let mut behind = lock(&self.behind);
        self.end_slice(&mut behind);
        let tenant = behind.tenant.take();
        if let Some(tenant) = &tenant {
            behind.last_ticket = tenant.machine.last_ticket();
        }
        self.publish(&mut behind);
        drop(behind);
        drop(tenant); // without the lock, as it drops the user's listeners
    }

    // ---- calls --------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word().is(Word::CLOSED)
    }

    #[inline]
    pub(crate) fn acquire_if_closed(&'static self) -> Option<Permit> {
        let word = self.word();
        if !word.is(Word::CLOSED) {
            return None;
        }
        let began = if word.is(Word::TIMED) { clock::now() } else { 0 };
        Some(Permit::new(self, word.ticket(), began))
    }

    /// Admits a call or says why not.
    pub(crate) fn acquire(&'static self) -> Result<Permit, Refusal> {
        let now = clock::now();
        let (Admission::Closed(ticket) | Admission::Probe(ticket)) = self.admit(now)?;
        Ok(Permit::new(self, ticket, now))
    }

    /// Takes a probe's place for a later call; none is needed if the circuit is closed.
    pub(crate) fn reserve(&'static self) -> Result<Option<Place>, Refusal> {
        Ok(match self.admit(clock::now())? {
            Admission::Closed(_) => None,
            Admission::Probe(ticket) => Some(Place::new(self, ticket)),
        })
    }

    fn admit(&self, now: Tick) -> Result<Admission, Refusal> {
        let word = self.word();
        if word.is(Word::FORCED_OPEN) {
            return Err(Refusal { reason: RejectReason::ForcedOpen, wait: 0 });
        }
        if word.is(Word::OPEN) {
            // If this is already the end of a later wait, the circuit opens again just now.
            let until = self.front.open_until.load(Ordering::Acquire);
            if now < until {
                return Err(Refusal { reason: RejectReason::Open, wait: until - now });
            }
        }
        let admitted = self.with(|machine| machine.acquire(now));
        admitted.expect("a circuit that is asked has a breaker")
    }

    /// Until when the ticket is that of a probe in flight, if it is.
    pub(crate) fn lease(&self, ticket: Ticket, now: Tick) -> Option<Tick> {
        self.with(|machine| machine.lease(now, ticket)).flatten()
    }

    #[inline]
    pub(crate) fn settle(&self, ticket: Ticket, began: Tick, report: Report) {
        let changes_nothing = match report {
            Report::Success => self.success_is_done(ticket, began),
            Report::Failure => false,
            // Unless a probe gives its place back, or the call counts as a failure.
            Report::Ignored => self.is_closed(),
            Report::Abandoned => {
                let word = self.word();
                word.is(Word::CLOSED) && !word.is(Word::TIMED)
            }
        };
        if !changes_nothing {
            self.settle_with_lock(ticket, began, report);
        }
    }

    #[cold]
    fn settle_with_lock(&self, ticket: Ticket, began: Tick, report: Report) {
        self.with(|machine| machine.settle(clock::now, ticket, began, report));
    }

    /// Whether nothing is left to do about a success, because it changes nothing or because it has
    /// been counted in the present slice.
    #[inline]
    fn success_is_done(&self, ticket: Ticket, began: Tick) -> bool {
        let slice = self.front.slice.load(Ordering::Acquire);
        let word = self.word();
        let slow_after = self.front.slow_after.load(Ordering::Acquire);
        let is_slow = |now: Tick| now.saturating_sub(began) >= slow_after;
        if word.is(Word::SUCCESS_IS_NOTHING) {
            // Whether the ticket is worthless or not.
            return slow_after == NEVER || !is_slow(clock::now());
        }
        if !word.is(Word::SUCCESS_IS_COUNTED) || word.ticket() != ticket {
            return false;
        }
        let slice_end = self.front.slice_end.load(Ordering::Acquire);
        if slice_end != NEVER || slow_after != NEVER {
            let now = clock::now();
            if now >= slice_end || is_slow(now) {
                return false;
            }
        }
        self.stripes.count_success(slice)
    }

    // ---- everything else ----------------------------------------------------------------------

    /// Lets an operator act.
    pub(crate) fn operate(&self, act: impl FnOnce(&mut Machine, Tick)) {
        let now = clock::now();
        self.with(|machine| act(machine, now));
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = clock::now();
        let snapshot = self.with(|machine| machine.snapshot(now));
        snapshot.expect("a circuit that is asked has a breaker")
    }

    #[inline]
    fn word(&self) -> Word {
        Word(self.front.word.load(Ordering::Acquire))
    }

    /// Does something to the machine, and then what follows from it: publishes, and, without the
    /// lock, tells those who listen and wakes those who wait. `None` if there is no breaker any more.
    fn with<R>(&self, act: impl FnOnce(&mut Machine) -> R) -> Option<R> {
        let mut behind = lock(&self.behind);
        self.end_slice(&mut behind);
        let Tenant { machine, name, listeners } = behind.tenant.as_mut()?;
        let result = act(machine);
        let (changes, interesting) = machine.take_changes();
        let mut news = None;
        for change in changes.filter(|_| !listeners.is_empty()) {
            listeners.note(Transition::new(name.clone(), change));
            news = Some(listeners.clone());
        }
        self.publish(&mut behind);
        drop(behind);

        if interesting {
            self.waiters.wake_all();
        }
        if let Some(listeners) = news {
            listeners.tell();
        }
        Some(result)
    }

    /// Gives the machine the successes that were counted without it.
    fn end_slice(&self, behind: &mut Behind) {
        if !std::mem::take(&mut behind.slice_is_live) {
            return;
        }
        behind.slice += 1;
        let successes = self.stripes.start_slice(behind.slice);
        if let Some(tenant) = &mut behind.tenant {
            tenant.machine.settle_successes(successes);
        }
    }

    /// Makes what is true now visible to those who come without the lock. The order matters: see
    /// the top of this file.
    fn publish(&self, behind: &mut Behind) {
        // Without a breaker there is no ticket that matches and no flag that helps.
        let mut word = Word(0);
        if let Some(Tenant { machine, .. }) = &behind.tenant {
            let effect_of_success = machine.effect_of_success();
            word = Word::of(machine, effect_of_success);
            if let Effect::CountedUntil(end) = effect_of_success {
                behind.slice_is_live = true;
                update(&self.front.slice_end, end);
            }
            if let Some(until) = machine.open_until() {
                update(&self.front.open_until, until);
            }
        }
        update(&self.front.word, word.0);
        update(&self.front.slice, behind.slice);
    }
}

/// Writes only what is new, so as not to take the line from the cores that read it.
fn update(atomic: &AtomicU64, value: u64) {
    if atomic.load(Ordering::Relaxed) != value {
        atomic.store(value, Ordering::Release);
    }
}

#[cfg(test)]
mod no_lock;
