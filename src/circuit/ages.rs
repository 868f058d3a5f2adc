//! [`Ages`]: the calls in flight of a closed circuit, counted by when they began.
//!
//! # The protocol
//!
//! Calls that begin in the same step of a grid form a bucket. Each stripe has a word for each of the latest buckets:
//! how many calls have begun in this stripe, less those that have ended in it. A call may end in another stripe than it
//! began, so only the sum over all stripes says how many are in flight.
//!
//! A word also holds the ticket of its period, and the numbers of its bucket and its grid. A call begins and ends by a
//! compare-and-swap on a word that carries its own. If there is none, the call asks the machine, with the lock
//! held. Only with the lock held are buckets begun, and closed once their calls are overdue. Whoever closes a bucket
//! swaps its words, and gives the sum to the machine. So each call is counted either here or by the machine, and a call
//! that ends leaves the one or the other.
//!
//! The first call in a new step finds no word for it, and takes the lock. So the machine learns of each step in which
//! there are calls, and looks at the calls that are overdue by then.
//!
//! The grid may change while the lock is held. Its number is written last and read first. So whoever has read the number
//! of a grid, and finds it in a word, has read this grid or a newer one. If it was a newer one, all words of the older
//! one had been closed before, so there is none to be found.

use super::own_stripe::{OwnStripe, STRIPES};
use super::status::StatusWord;
use super::sync::{AtomicU64, Ordering, update};
use super::{Circuit, LockedBreaker, clock};
use crate::machine::{Deadlines, MOST_YOUNG, NextBucket, Report, Tick, Ticket};

pub(super) struct Ages {
    /// The number of the grid.
    number: AtomicU64,
    /// When the grid begins. Calls that began earlier are not counted.
    start: AtomicU64,
    /// The length of a step. Zero if calls in flight are not watched.
    step: AtomicU64,
    stripes: Box<[Stripe]>,
}

/// What the threads of one stripe write.
#[derive(Default)]
#[repr(align(64))]
struct Stripe {
    buckets: [AtomicU64; MOST_YOUNG as usize],
    /// When a call succeeded last, to the step.
    succeeded: AtomicU64,
}

// The documentation of `hung_after` says so.
#[cfg(not(tower_breaker_loom))]
const _: () = assert!(size_of::<Stripe>() == 192);

/// The grid, as a call has read it.
#[derive(Clone, Copy)]
struct Grid {
    number: u64,
    start: Tick,
    step: u64,
}

impl Grid {
    fn bucket(self, at: Tick) -> u64 {
        at.saturating_sub(self.start) / self.step
    }
}

/// The number of calls is in the lowest 22 bits and wraps around. Above are 16 bits for the bucket, 6 for the number of
/// the grid and 20 for the ticket. A call has compared its whole ticket and the age of its bucket before, so these bits
/// can be mistaken for others only if the circuit changes that often between two instructions of one thread.
const CALLS: u64 = (1 << BUCKET_SHIFT) - 1;
const BUCKET_SHIFT: u32 = 22;
const GRID_SHIFT: u32 = 38;
const TICKET_SHIFT: u32 = 44;
const BUCKETS: u64 = (1 << (GRID_SHIFT - BUCKET_SHIFT)) - 1;
const GRIDS: u64 = 1 << (TICKET_SHIFT - GRID_SHIFT);
/// The word of a bucket that is closed. No bucket has this number.
const CLOSED: u64 = BUCKETS << BUCKET_SHIFT;

fn word(ticket: Ticket, grid: u64, bucket: u64) -> u64 {
    ticket << TICKET_SHIFT | (grid % GRIDS) << GRID_SHIFT | (bucket % BUCKETS) << BUCKET_SHIFT
}

/// Returns how many calls the words of a bucket count together.
fn sum(words: impl Iterator<Item = u64>) -> i64 {
    let calls = words.fold(0, |sum: u64, word| sum.wrapping_add(word)) & CALLS;
    // The sum may be negative if a call that the machine counted has ended without the lock.
    let sign = CALLS ^ (CALLS >> 1);
    (calls ^ sign) as i64 - sign as i64
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            number: AtomicU64::default(),
            start: AtomicU64::default(),
            step: AtomicU64::default(),
            stripes: (0..*STRIPES).map(|_| Stripe::default()).collect(),
        }
    }
}

impl Ages {
    fn grid(&self) -> Option<Grid> {
        let number = self.number.load(Ordering::Acquire);
        let step = self.step.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Acquire);
        (step > 0).then_some(Grid { number, start, step })
    }

    // ---- calls --------------------------------------------------------------------------------

    /// Counts a call that begins at `now` or at the beginning of the grid, if that is later. Returns when it began, or
    /// `None` if the machine has to be asked.
    fn begin(&self, ticket: Ticket, now: Tick) -> Option<Tick> {
        let grid = self.grid()?;
        let began = now.max(grid.start);
        self.add(grid, ticket, grid.bucket(began), 1).then_some(began)
    }

    /// Whether the bucket of this moment has begun, so that no call can be overdue of which the machine has not heard.
    fn is_current(&self, ticket: Ticket, now: Tick) -> bool {
        let Some(grid) = self.grid() else { return false };
        let bucket = grid.bucket(now);
        let seen = self.word(bucket).load(Ordering::Acquire);
        seen & !CALLS == word(ticket, grid.number, bucket)
    }

    /// A call ends at `now`. Returns false if the machine has to be told.
    fn end(&self, ticket: Ticket, began: Tick, now: Tick) -> bool {
        let Some(grid) = self.grid() else { return false };
        let bucket = grid.bucket(began);
        let is_young = grid.bucket(now).saturating_sub(bucket) < MOST_YOUNG;
        // Another grid may have begun since, and calls may have been timed only since then.
        let is_watched = began >= grid.start && began <= now.max(grid.start);
        !is_watched || is_young && self.add(grid, ticket, bucket, CALLS)
    }

    /// Adds to the calls of a bucket, which wrap around.
    fn add(&self, grid: Grid, ticket: Ticket, bucket: u64, calls: u64) -> bool {
        let (atomic, own) = (self.word(bucket), word(ticket, grid.number, bucket));
        let mut seen = atomic.load(Ordering::Acquire);
        while seen & !CALLS == own {
            let next = own | seen.wrapping_add(calls) & CALLS;
            match atomic.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    fn word(&self, bucket: u64) -> &AtomicU64 {
        &self.stripes[OwnStripe::get().index].buckets[index(bucket)]
    }

    /// Notes that a call has succeeded.
    fn note_success(&self, now: Tick) {
        let Some(grid) = self.grid() else { return };
        let succeeded = &self.stripes[OwnStripe::get().index].succeeded;
        // Once in a step is enough.
        let noted = succeeded.load(Ordering::Relaxed);
        if noted < grid.start || grid.bucket(noted) < grid.bucket(now) {
            succeeded.fetch_max(now, Ordering::Release);
        }
    }

    // ---- with the lock held -------------------------------------------------------------------

    /// Goes by another grid, or by none.
    fn set_grid(&self, deadlines: Option<(Deadlines, Tick)>) {
        let (step, start) = deadlines.map_or((0, 0), |(it, start)| (it.step, start));
        if self.step.load(Ordering::Relaxed) == step && self.start.load(Ordering::Relaxed) == start
        {
            return;
        }
        for stripe in &self.stripes {
            stripe.buckets.iter().for_each(|word| _ = word.swap(CLOSED, Ordering::AcqRel));
            stripe.succeeded.store(0, Ordering::Release);
        }
        update(&self.start, start);
        update(&self.step, step);
        self.number.fetch_add(1, Ordering::Release);
    }

    fn begin_bucket(&self, ticket: Ticket, bucket: u64) {
        let empty = self.own(ticket, bucket);
        self.words(bucket).for_each(|atomic| atomic.store(empty, Ordering::Release));
    }

    /// Closes a bucket of this period. Returns how many of its calls are in flight.
    fn close_bucket(&self, ticket: Ticket, bucket: u64) -> i64 {
        let own = self.own(ticket, bucket);
        sum(self.words(bucket).map(|atomic| {
            let seen = atomic.load(Ordering::Acquire);
            let is_own = seen & !CALLS == own;
            if is_own { atomic.swap(CLOSED, Ordering::AcqRel) } else { 0 }
        }))
    }

    fn calls(&self, ticket: Ticket, bucket: u64) -> i64 {
        let own = self.own(ticket, bucket);
        let seen = self.words(bucket).map(|atomic| atomic.load(Ordering::Acquire));
        sum(seen.filter(|seen| seen & !CALLS == own))
    }

    /// Returns the word of a bucket of the present grid without calls.
    fn own(&self, ticket: Ticket, bucket: u64) -> u64 {
        word(ticket, self.number.load(Ordering::Relaxed), bucket)
    }

    fn words(&self, bucket: u64) -> impl Iterator<Item = &AtomicU64> {
        self.stripes.iter().map(move |stripe| &stripe.buckets[index(bucket)])
    }

    fn last_success(&self) -> Tick {
        let all = self.stripes.iter().map(|stripe| stripe.succeeded.load(Ordering::Acquire));
        all.max().unwrap_or(0)
    }
}

fn index(bucket: u64) -> usize {
    (bucket % MOST_YOUNG) as usize
}

impl Circuit {
    /// Admits a call of a closed circuit that watches how long calls are in flight. Returns when it began, or `None` if
    /// the machine has to be asked.
    pub(super) fn begin_watched(&self, ticket: Ticket, now: Tick) -> Option<Tick> {
        self.ages.get()?.begin(ticket, now)
    }

    /// Whether no call can be overdue of which the machine has not heard.
    pub(super) fn is_up_to_date(&self, ticket: Ticket, now: Tick) -> bool {
        self.ages.get().is_some_and(|ages| ages.is_current(ticket, now))
    }

    /// Settles a call, which is in flight no longer. Returns whether its result belonged to the current period.
    pub(super) fn settle_in_flight(
        &self,
        status: StatusWord,
        clock: impl Fn() -> Tick,
        began: Tick,
        report: Report,
    ) -> bool {
        let ticket = status.ticket();
        let Some(ages) = self.ages.get().filter(|_| status.is(StatusWord::AGES)) else {
            return self.settle(clock, ticket, began, report);
        };
        // A probe, or a call of an earlier period.
        if self.status().ticket() != ticket {
            return self.settle(clock, ticket, began, report);
        }
        let now = clock();
        if ages.end(ticket, began, now) {
            return self.settle(|| now, ticket, began, report);
        }
        let settled = self.with_machine(|machine| {
            machine.leave(ticket, began);
            machine.settle(|| now, ticket, began, report)
        });
        settled.unwrap_or(false)
    }

    /// Settles a call, and looks whether others are overdue, because whoever comes next does.
    #[inline(never)]
    pub(super) fn settle_looking(
        &self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        let slice = self.slice();
        // The clock is not read for a stale result, because it may be that of another runtime.
        if slice.status.ticket() != ticket {
            return self.settle_locked(slice, clock, ticket, began, report);
        }
        let now = clock();
        if let (Some(ages), Report::Success) = (self.ages.get(), report) {
            ages.note_success(now);
        }
        let settled = match report {
            _ if !self.is_up_to_date(ticket, now) => None,
            Report::Ignored | Report::Abandoned => Some(true),
            _ => self.published.slices.settle(slice, || now, ticket, began, report).ok(),
        };
        settled.unwrap_or_else(|| self.settle_locked(slice, || now, ticket, began, report))
    }

    /// The call with this permit has been answered, so it ages no further.
    pub(super) fn answered(&self, status: StatusWord, began: Tick) {
        let ticket = status.ticket();
        let Some(ages) = self.ages.get() else { return };
        if self.status().ticket() == ticket && !ages.end(ticket, began, clock::now()) {
            self.with_machine(|machine| machine.leave(ticket, began));
        }
    }

    // ---- with the lock held -------------------------------------------------------------------

    /// Follows the machine's grid.
    pub(super) fn follow_grid(&self, breaker: &mut LockedBreaker) {
        if breaker.rules().watches_calls_in_flight() {
            let deadlines = breaker.machine().deadlines();
            self.ages.get_or_init(Box::default).set_grid(deadlines);
        } else {
            self.stop_watching();
        }
    }

    /// Counts calls in flight no longer, and forgets what was counted.
    pub(super) fn stop_watching(&self) {
        if let Some(ages) = self.ages.get() {
            ages.set_grid(None);
        }
    }

    /// Tells the machine which calls are overdue.
    pub(super) fn find_overdue_calls(&self, breaker: &mut LockedBreaker) {
        if !breaker.is_watching_ages() {
            return;
        }
        let Some(ages) = self.ages.get() else { return };
        let machine = breaker.machine();
        let ticket = machine.closed_ticket().unwrap_or(0);
        let close = |bucket| ages.close_bucket(ticket, bucket);
        machine.find_overdue_calls(clock::now(), ages.last_success(), close);
    }

    /// Tells the machine how many calls are in flight, for a reading.
    pub(super) fn count_calls_in_flight(&self, breaker: &mut LockedBreaker) {
        if !breaker.is_watching_ages() {
            return;
        }
        let Some(ages) = self.ages.get() else { return };
        let machine = breaker.machine();
        let ticket = machine.closed_ticket().unwrap_or(0);
        machine.note_unlocked_calls(|bucket| ages.calls(ticket, bucket));
    }

    /// Begins the bucket in which calls are counted without the lock.
    pub(super) fn begin_bucket(&self, breaker: &mut LockedBreaker) {
        if !breaker.is_watching_ages() {
            return;
        }
        let Some(ages) = self.ages.get() else { return };
        let machine = breaker.machine();
        match machine.next_bucket() {
            NextBucket::Same => {}
            NextBucket::Begin { ticket, bucket } => ages.begin_bucket(ticket, bucket),
            NextBucket::Close { ticket, bucket } => {
                machine.take_unlocked_calls(bucket, ages.close_bucket(ticket, bucket));
            }
        }
    }
}
