//! The atomic shell around the state machine: what makes a healthy call cheap.
//!
//! The [`Machine`] is behind a lock. Beside the lock stands one atomic word that says what a call
//! needs to know if it is to change nothing, and most calls change nothing: they are admitted by a
//! closed circuit, and their success adds nothing to a run of failures that is zero and to a window
//! that holds no failure. Such a call reads the word twice and writes nothing. A call that finds the
//! circuit open reads the end of the wait beside it and is turned away without the lock, too. Most
//! other results are only collected for the machine. Everything else takes the lock, asks the machine and
//! publishes what is true then.
//!
//! # Slices
//!
//! A time window must count every success, and where calls fail every result matters. Most of them
//! still cannot trip the circuit, and the machine says of how many that is true ([`Effect`]). They are
//! settled in a *slice*: a stretch of time within one bucket of a time window and without a transition
//! or anything else that takes the lock. There are two kinds:
//!
//! - Where few calls fail, successes are counted in the *stripes*: several counters, of which a thread
//!   uses one, so that cores do not fight over them. A failure takes the lock.
//! - Where many fail, results are appended to the *log*: one word, because their order matters.
//!
//! A stripe and the log hold the number of their slice beside what they collect. Whoever has something to
//! do to the machine ends the slice: it swaps the next number into the stripes or the log, and hands what
//! it finds there to the machine first. When it is done, a new slice may begin.
//!
//! A call is settled in a slice by one compare-and-swap on a stripe or a log that carries the slice's
//! number. Before, its caller has read, in this order: the number of the slice, the word (does it carry
//! my ticket, what is the slice for?), the end of the slice and how much there is room for. Whoever
//! ends a slice and begins the next writes in the opposite order: the stripes or the log, the room and
//! the end, the word, the number. So a caller that read the number and finds it in its stripe or in the
//! log has read everything at least as new as that number, and nothing newer, because what is newer was
//! written after the number had gone from there. (A log that has ended has the next number already, and
//! the next slice may be one that counts. But then whoever reads that number reads a word that says so.)
//! Hence no result is settled in a period or a bucket that is not its own, and none is lost.

#[cfg(feature = "keyed")]
mod registry;

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::clock::{self, NEVER, Tick};
use crate::error::Refusal;
use crate::event::{Interest, OperatorAction};
use crate::in_flight::InFlight;
use crate::listeners::Listeners;
use crate::log::Log;
use crate::observers::Observers;
use crate::permit::{Permit, Place};
use crate::pool;
use crate::rules::Rules;
use crate::snapshot::Snapshot;
use crate::state::{Admission, Effect, Machine, Report, Ticket};
use crate::stripes::Stripes;
#[cfg(feature = "keyed")]
use crate::sync::AtomicBool;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, lock};
use crate::tenant::Tenant;
use crate::transition::Transition;
use crate::waiters::Waiters;
use crate::word::Word;

pub(crate) struct Circuit {
    front: Front,
    stripes: Stripes,
    log: Log,
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
    /// The number of the present slice, when it ends, and how much a stripe or the log may take in it.
    slice: AtomicU64,
    slice_end: AtomicU64,
    slice_room: AtomicU64,
}

#[derive(Default)]
struct Behind {
    tenant: Option<Tenant>,
    /// The last ticket of the tenants before: no ticket is ever given twice.
    last_ticket: Ticket,
}

impl Circuit {
    pub(crate) fn new() -> Self {
        Self {
            front: Front::default(),
            stripes: Stripes::new(),
            log: Log::default(),
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
        if listeners.want(Interest::Calls) {
            let observers = Observers::new(listeners.clone(), rules, machine.last_ticket());
            self.observers.store(Some(Arc::new(observers)));
        }
        behind.tenant = Some(Tenant::new(machine, listeners, &rules, counts_in_flight));
        self.publish(&behind);
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
        self.publish(&behind);
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
        Some(self.permit(word, beginning(word)))
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

    /// How a call is admitted now, and when that is (0 if nothing depends on it); or why it is not.
    fn ask(&self) -> Result<(Admission, Tick), Refusal> {
        let word = self.word();
        if word.is(Word::CLOSED) {
            return Ok((Admission::Closed(word.ticket()), beginning(word)));
        }
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
        self.settle_result(clock, ticket, began, report)
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

    /// Not inlined, so that what goes with every call stays small.
    #[inline(never)]
    fn settle_result(
        &self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        let slice = self.slice();
        match self.settle_in(slice, &clock, ticket, began, report) {
            Ok(is_current) => is_current,
            // What the clock said stands: to wait for the lock does not make a call slow.
            Err(Some(now)) => self.settle_after(slice, || now, ticket, began, report),
            Err(None) => self.settle_after(slice, clock, ticket, began, report),
        }
    }

    /// Settles what could not be settled in this slice.
    #[cold]
    fn settle_after(
        &self,
        slice: u64,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        let behind = lock(&self.behind);
        // Who has waited for the lock may find a slice that has just begun. If each of them ended it, no
        // slice would get anywhere.
        let latest = self.slice();
        if latest != slice {
            if let Ok(is_current) = self.settle_in(latest, &clock, ticket, began, report) {
                return is_current;
            }
        }
        let settle = |tenant: &mut Tenant| tenant.machine.settle(clock, ticket, began, report);
        self.with_tenant(behind, None, settle).unwrap_or(false)
    }

    /// Settles a success that changes nothing or can be counted in the slice, or a result that can be
    /// logged in it. If not, it returns the time, if it has looked. Inlined always: as a call of its own
    /// it costs 1.5 ns of 10.5.
    #[inline(always)]
    fn settle_in(
        &self,
        slice: u64,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> Result<bool, Option<Tick>> {
        let failed = match report {
            Report::Success => false,
            Report::Failure => true,
            Report::FailureRetryAfter(_) | Report::Ignored | Report::Abandoned => return Err(None),
        };
        let word = self.word();
        let is_current = word.ticket() == ticket;
        // Whether the ticket is worthless or not.
        let changes_nothing = word.is(Word::SUCCESS_IS_NOTHING) && !failed;
        let is_logged = word.is(Word::RESULT_IS_LOGGED);
        let is_counted = word.is(Word::SUCCESS_IS_COUNTED) && !failed;
        if !(changes_nothing || is_current && (is_logged || is_counted)) {
            return Err(None);
        }
        let ends =
            if changes_nothing { NEVER } else { self.front.slice_end.load(Ordering::Acquire) };
        let slow_after = self.front.slow_after.load(Ordering::Acquire);
        let is_timed = ends != NEVER || slow_after != NEVER;
        let now = is_timed.then(clock);
        if now.is_some_and(|now| now >= ends || now.saturating_sub(began) >= slow_after) {
            return Err(now);
        }
        let room = self.front.slice_room.load(Ordering::Acquire);
        let is_settled = changes_nothing
            || if is_logged {
                self.log.append(slice, room, failed)
            } else {
                self.stripes.count_success(slice, room)
            };
        if is_settled { Ok(is_current) } else { Err(now) }
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
        let snapshot = self.with_tenant(lock(&self.behind), None, |tenant| {
            tenant.listeners.metrics.look(&tenant.machine, now);
            tenant.machine.snapshot(now)
        });
        snapshot.expect("a circuit that is asked has a breaker")
    }

    /// Brings the metrics up to date.
    #[cfg(feature = "metrics")]
    pub(crate) fn refresh_metrics(&self) {
        let now = clock::now();
        let listeners = self.with_tenant(lock(&self.behind), None, |tenant| {
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
        self.with_tenant(lock(&self.behind), action, |tenant| act(&mut tenant.machine))
    }

    fn with_tenant<R>(
        &self,
        mut behind: MutexGuard<'_, Behind>,
        action: Option<OperatorAction>,
        act: impl FnOnce(&mut Tenant) -> R,
    ) -> Option<R> {
        self.end_slice(&mut behind);
        let tenant = behind.tenant.as_mut()?;
        let result = act(tenant);
        let mut told = None;
        let interesting = tenant.machine.has_news();
        if interesting || action.is_some() {
            told = tenant.note_news(action);
        }
        self.publish(&behind);
        drop(behind);

        if interesting {
            self.waiters.wake_all();
        }
        if let Some(listeners) = told {
            listeners.tell_news();
        }
        Some(result)
    }

    /// Ends the slice, if there is one, and gives the machine what was settled without it.
    fn end_slice(&self, behind: &mut Behind) {
        let Some(Tenant { machine, .. }) = &mut behind.tenant else {
            return;
        };
        let (word, next) = (self.word(), self.next_slice());
        if word.is(Word::SUCCESS_IS_COUNTED) {
            machine.settle_successes(self.stripes.end(next));
        } else if word.is(Word::RESULT_IS_LOGGED) {
            machine.settle_results(self.log.end(next));
        }
    }

    /// To be read before what is true in it: see the top of this file.
    fn slice(&self) -> u64 {
        self.front.slice.load(Ordering::Acquire)
    }

    fn next_slice(&self) -> u64 {
        self.front.slice.load(Ordering::Relaxed) + 1
    }

    /// Makes what is true now visible to those who come without the lock, and begins a slice if they
    /// can settle calls in one. The order matters: see the top of this file.
    fn publish(&self, behind: &Behind) {
        // Without a breaker there is no ticket that matches and no flag that helps.
        let (mut word, mut slice) = (Word(0), None);
        let next = self.next_slice();
        if let Some(Tenant { machine, flags, .. }) = &behind.tenant {
            let effect = machine.effect();
            word = Word::of(machine, effect, *flags);
            slice = match effect {
                Effect::Counted { until, room } => {
                    self.stripes.begin(next);
                    Some((until, room))
                }
                Effect::Logged { until, room } => {
                    self.log.begin(next);
                    Some((until, room))
                }
                Effect::Nothing | Effect::Any => None,
            };
            if let Some(until) = machine.open_until() {
                update(&self.front.open_until, until);
            }
        }
        if let Some((until, room)) = slice {
            update(&self.front.slice_room, room);
            update(&self.front.slice_end, until);
        }
        update(&self.front.word, word.0);
        if slice.is_some() {
            self.front.slice.store(next, Ordering::Release);
        }
    }
}

/// When a call begins that a closed circuit admits with this word; 0 if nothing depends on it.
#[inline]
fn beginning(word: Word) -> Tick {
    if word.is(Word::TIMED) { clock::now() } else { 0 }
}

/// Writes only what is new, so as not to take the line from the cores that read it.
fn update(atomic: &AtomicU64, value: u64) {
    if atomic.load(Ordering::Relaxed) != value {
        atomic.store(value, Ordering::Release);
    }
}

#[cfg(test)]
mod no_lock;
