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

use arc_swap::ArcSwapOption;

use crate::clock::{self, NEVER, Tick};
use crate::error::Refusal;
use crate::event::{Interest, OperatorAction};
use crate::in_flight::InFlight;
use crate::listeners::Listeners;
use crate::observers::Observers;
use crate::permit::{Permit, Place};
use crate::pool;
use crate::rules::Rules;
use crate::snapshot::Snapshot;
use crate::state::{Admission, Machine, Report, Ticket};
use crate::stripes::{ROOM, Stripes};
#[cfg(feature = "keyed")]
use crate::sync::AtomicBool;
use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::tenant::Tenant;
use crate::transition::Transition;
use crate::waiters::Waiters;
use crate::window::Effect;
use crate::word::Word;

pub(crate) struct Circuit {
    front: Front,
    stripes: Stripes,
    behind: Mutex<Behind>,
    /// Who observes calls, if anybody does: here, so that a call need not count references to them.
    observers: ArcSwapOption<Observers>,
    /// Who needs it: its breaker, and the calls in flight if they are counted.
    in_flight: InFlight,
    /// Whether a registry has given it out lately.
    #[cfg(feature = "keyed")]
    is_used: AtomicBool,
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
    /// The number of the present slice, when it ends, and how many successes a stripe may count in it.
    slice: AtomicU64,
    slice_end: AtomicU64,
    slice_room: AtomicU64,
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

impl Circuit {
    pub(crate) fn new() -> Self {
        Self {
            front: Front::default(),
            stripes: Stripes::new(),
            behind: Mutex::default(),
            observers: ArcSwapOption::empty(),
            in_flight: InFlight::default(),
            #[cfg(feature = "keyed")]
            is_used: AtomicBool::default(),
            waiters: Waiters::default(),
        }
    }

    /// Begins to work for a breaker.
    pub(crate) fn start(
        &self,
        rules: Rules,
        listeners: Arc<Listeners>,
        counts_in_flight: bool,
        seed: u64,
    ) {
        let mut behind = lock(&self.behind);
        let now = clock::now();
        let machine = Machine::new(rules, behind.last_ticket, seed, now);
        listeners.metrics.start(now);
        self.in_flight.start();
        #[cfg(feature = "keyed")]
        self.is_used.store(false, Ordering::Relaxed);
        let slow_after = rules.slow_call_duration.unwrap_or(NEVER);
        self.front.slow_after.store(slow_after, Ordering::Release);
        // When successes may have filled a count window, it is looked at, because from then on they may
        // change nothing.
        let size = rules.window.and_then(|window| window.size());
        let room = size.map_or(ROOM, |size| ROOM.min(size.into()));
        self.front.slice_room.store(room, Ordering::Release);
        if listeners.want(Interest::Calls) {
            let observers = Observers::new(listeners.clone(), rules, machine.last_ticket());
            self.observers.store(Some(Arc::new(observers)));
        }
        behind.tenant = Some(Tenant::new(machine, listeners, &rules, counts_in_flight));
        self.publish(&mut behind);
    }

    /// Stops. Permits that are left find no period of theirs any more.
    pub(crate) fn stop(&'static self) {
        let mut behind = lock(&self.behind);
        self.end_slice(&mut behind);
        let tenant = behind.tenant.take();
        if let Some(tenant) = &tenant {
            behind.last_ticket = tenant.machine.last_ticket();
            tenant.listeners.metrics.stop(&tenant.machine, clock::now);
        }
        self.publish(&mut behind);
        drop(behind);
        // Without the lock, as this may drop the user's listeners.
        drop(tenant);
        self.observers.store(None);
        self.release();
    }

    /// The breaker, or a counted call, does not need it any more: if nobody does, it is there for
    /// another breaker.
    #[inline]
    fn release(&'static self) {
        if self.in_flight.remove() {
            pool::put(self);
        }
    }

    // ---- calls --------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word().is(Word::CLOSED)
    }

    #[inline]
    pub(crate) fn admit_if_closed(&'static self) -> Option<Permit> {
        let word = self.word();
        if !word.is(Word::CLOSED) {
            return None;
        }
        let began = if word.is(Word::TIMED) { clock::now() } else { 0 };
        Some(self.permit(word, began))
    }

    /// Admits a call or says why not; also says whether it is a probe.
    pub(crate) fn admit(&'static self) -> Result<(Permit, bool), Refusal> {
        Ok(match self.ask()? {
            (Admission::Closed(ticket), now) => (self.begin(ticket, now), false),
            (Admission::Probe(ticket), now) => (self.begin(ticket, now), true),
        })
    }

    /// The permit of a call that was admitted with this ticket and begins now.
    pub(crate) fn begin(&'static self, ticket: Ticket, now: Tick) -> Permit {
        self.permit(self.word().with_ticket(ticket), now)
    }

    #[inline]
    fn permit(&'static self, word: Word, began: Tick) -> Permit {
        if word.is(Word::COUNTED) {
            self.in_flight.add();
        }
        Permit::new(self, word, began)
    }

    /// Takes a probe's place for a later call; none is needed if the circuit is closed.
    pub(crate) fn reserve(&'static self) -> Result<Option<Place>, Refusal> {
        Ok(match self.ask()? {
            (Admission::Closed(_), _) => None,
            (Admission::Probe(ticket), _) => Some(Place::new(self, ticket)),
        })
    }

    /// How a call is admitted now, and when that is; or why it is not.
    fn ask(&self) -> Result<(Admission, Tick), Refusal> {
        let word = self.word();
        if word.is(Word::OPEN) && word.is(Word::FORCED) {
            return Err(Refusal::FORCED_OPEN);
        }
        let now = clock::now();
        if word.is(Word::OPEN) {
            // If this is already the end of a later wait, the circuit opens again just now.
            let until = self.front.open_until.load(Ordering::Acquire);
            if now < until {
                return Err(Refusal::open(until));
            }
        }
        let admitted = self.with(None, |machine| machine.acquire(now));
        Ok((admitted.expect("a circuit that is asked has a breaker")?, now))
    }

    /// Until when the ticket is that of a probe in flight, if it is.
    pub(crate) fn lease(&self, ticket: Ticket, now: Tick) -> Option<Tick> {
        self.with(None, |machine| machine.lease(now, ticket)).flatten()
    }

    /// Takes a result; whether the period that had admitted the call was not over.
    #[inline]
    pub(crate) fn settle(
        &self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        let word = self.word();
        let changes_nothing = match report {
            // Where calls are not timed, none is slow.
            Report::Success => word.is(Word::SUCCESS_IS_NOTHING) && !word.is(Word::TIMED),
            Report::Failure | Report::FailureRetryAfter(_) => false,
            // Unless a probe gives its place back,
            Report::Ignored => word.is(Word::CLOSED),
            // or the call counts as a failure.
            Report::Abandoned => word.is(Word::CLOSED) && !word.is(Word::TIMED),
        };
        if changes_nothing {
            return word.ticket() == ticket;
        }
        if report == Report::Success {
            return self.settle_success(clock, ticket, began);
        }
        self.settle_with_lock(clock, ticket, began, report)
    }

    /// Takes the result of a call that is watched.
    pub(crate) fn settle_watched(&'static self, word: Word, began: Tick, report: Report) {
        if word.is(Word::OBSERVED) {
            self.settle_observed(word, began, report);
        } else {
            self.settle(clock::now, word.ticket(), began, report);
        }
        if word.is(Word::COUNTED) {
            self.release();
        }
    }

    /// Takes the result of a call that somebody observes, and tells how it ended. Not inlined, so that
    /// calls that are merely counted do not have to make room for it.
    #[inline(never)]
    fn settle_observed(&self, word: Word, began: Tick, report: Report) {
        let now = word.is(Word::TIMED).then(clock::now);
        let clock = || now.unwrap_or_else(clock::now);
        let is_current = self.settle(clock, word.ticket(), began, report);

        let took = now.map(|now| now.saturating_sub(began));
        if let Some(observers) = self.observers.load().as_deref() {
            observers.tell(word.ticket(), took, report, is_current);
        }
    }

    #[cold]
    fn settle_with_lock(
        &self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        self.with(None, |machine| machine.settle(clock, ticket, began, report)).unwrap_or(false)
    }

    /// Not inlined, so that what goes with every call stays small.
    #[inline(never)]
    fn settle_success(&self, clock: impl Fn() -> Tick, ticket: Ticket, began: Tick) -> bool {
        let without_lock = self.settle_success_without_lock(&clock, ticket, began);
        without_lock.unwrap_or_else(|| self.settle_with_lock(clock, ticket, began, Report::Success))
    }

    /// Settles a success that changes nothing, or that can be counted in the present slice.
    #[inline]
    fn settle_success_without_lock(
        &self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
    ) -> Option<bool> {
        let slice = self.front.slice.load(Ordering::Acquire);
        let word = self.word();
        let is_current = word.ticket() == ticket;
        // Whether the ticket is worthless or not.
        let changes_nothing = word.is(Word::SUCCESS_IS_NOTHING);
        let is_counted = word.is(Word::SUCCESS_IS_COUNTED) && is_current;
        if !(changes_nothing || is_counted) {
            return None;
        }
        let ends =
            if changes_nothing { NEVER } else { self.front.slice_end.load(Ordering::Acquire) };
        let slow_after = self.front.slow_after.load(Ordering::Acquire);
        if ends != NEVER || slow_after != NEVER {
            let now = clock();
            if now >= ends || now.saturating_sub(began) >= slow_after {
                return None;
            }
        }
        let room = self.front.slice_room.load(Ordering::Acquire);
        let is_settled = changes_nothing || self.stripes.count_success(slice, room);
        is_settled.then_some(is_current)
    }

    // ---- everything else ----------------------------------------------------------------------

    /// Lets an operator act.
    pub(crate) fn operate(&self, action: OperatorAction, act: impl FnOnce(&mut Machine, Tick)) {
        let now = clock::now();
        self.with(Some(action), |machine| act(machine, now));
    }

    /// The latest transitions, oldest first.
    pub(crate) fn history(&self) -> Vec<Transition> {
        let now = clock::now();
        let behind = lock(&self.behind);
        let tenant = behind.tenant.as_ref().expect("a circuit that is asked has a breaker");
        tenant.history(now)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = clock::now();
        let snapshot = self.with_tenant(None, |tenant| {
            tenant.listeners.metrics.look(&tenant.machine, now);
            tenant.machine.snapshot(now)
        });
        snapshot.expect("a circuit that is asked has a breaker")
    }

    /// Brings the metrics up to date.
    #[cfg(feature = "metrics")]
    pub(crate) fn refresh_metrics(&self) {
        let now = clock::now();
        let listeners = self.with_tenant(None, |tenant| {
            tenant.listeners.metrics.look(&tenant.machine, now);
            tenant.listeners.clone()
        });
        if let Some(listeners) = listeners {
            listeners.metrics.publish();
        }
    }

    #[inline]
    fn word(&self) -> Word {
        Word(self.front.word.load(Ordering::Acquire))
    }

    /// Does something to the machine, and then what follows from it: publishes, and, without the
    /// lock, tells those who listen and wakes those who wait. `None` if there is no breaker any more.
    fn with<R>(
        &self,
        action: Option<OperatorAction>,
        act: impl FnOnce(&mut Machine) -> R,
    ) -> Option<R> {
        self.with_tenant(action, |tenant| act(&mut tenant.machine))
    }

    fn with_tenant<R>(
        &self,
        action: Option<OperatorAction>,
        act: impl FnOnce(&mut Tenant) -> R,
    ) -> Option<R> {
        let mut behind = lock(&self.behind);
        self.end_slice(&mut behind);
        let tenant = behind.tenant.as_mut()?;
        let result = act(tenant);
        let mut told = None;
        let interesting = tenant.machine.has_news();
        if interesting || action.is_some() {
            told = tenant.note_news(action);
        }
        self.publish(&mut behind);
        drop(behind);

        if interesting {
            self.waiters.wake_all();
        }
        if let Some(listeners) = told {
            listeners.tell_news();
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
        if let Some(tenant) = &behind.tenant {
            let machine = &tenant.machine;
            let effect_of_success = machine.effect_of_success();
            word = Word::of(machine, effect_of_success, tenant.flags);
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

/// What a registry needs to know.
#[cfg(feature = "keyed")]
impl Circuit {
    /// Written only if it is news, since all cores read it.
    #[inline]
    pub(crate) fn mark_used(&self) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn take_used(&self) -> bool {
        self.is_used.swap(false, Ordering::Relaxed)
    }

    /// Whether nothing would be lost with it but counts: it is closed, not by an operator, and no
    /// call is in flight.
    pub(crate) fn is_at_rest(&self) -> bool {
        let word = self.word_without_calls();
        word.is_some_and(|word| word.is(Word::CLOSED) && !word.is(Word::FORCED))
    }

    /// Whether it does nothing unless it is asked: it is not held by an operator, not in an open
    /// wait, and no call is in flight.
    pub(crate) fn is_idle(&self, now: Tick) -> bool {
        let waits =
            |word: Word| word.is(Word::OPEN) && now < self.front.open_until.load(Ordering::Acquire);
        self.word_without_calls().is_some_and(|word| !word.is(Word::FORCED) && !waits(word))
    }

    /// The word, unless calls are in flight. In this order, because a call ceases to be in flight
    /// after it has settled.
    fn word_without_calls(&self) -> Option<Word> {
        self.in_flight.is_none().then(|| self.word())
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
