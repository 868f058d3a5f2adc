//! Settling results without the lock.
//!
//! A time window has to count every success, and where calls fail every result matters. Most of these
//! results still cannot trip the circuit, and the machine says how many of them certainly cannot ([`Effect`]).
//! They are collected in a *slice* and handed to the machine later. A slice is a stretch of time within
//! one bucket of a time window, during which no thread takes the lock. There are two kinds:
//!
//! - Where few calls fail, successes are counted in *stripes*: several counters, of which each thread
//!   uses one, so that cores do not write to the same cache line. A failure takes the lock.
//! - Where many calls fail, results are appended to the *log*: one word, because their order matters.
//!
//! # The protocol
//!
//! Each stripe and the log hold the number of their slice next to what they have collected (a
//! [`Collector`]). A result is settled by one compare-and-swap on a collector that carries the number of
//! the caller's slice. Before that, the caller has read, in this order: the number of the slice, the
//! status word (is my ticket the current one, and what does this slice collect?), and the end and the
//! capacity of the slice.
//!
//! A thread that has to ask the machine takes the lock and *ends* the slice: it swaps the next number into
//! the collectors and gives the machine what they contained. Afterwards it may *begin* a new slice. It then
//! writes in the opposite order: the collectors, the capacity and the end, the status word, the number. So a
//! caller that has read a number, and still finds that number in its collector, has read
//! everything at least as new as the number. It has read nothing newer either, because newer values are
//! written only after the number has gone from the collector.
//!
//! One case needs a second look. The log of a slice that has ended already carries the next number, and
//! the next slice may be one that counts. But a caller that reads this next number as the number of its
//! slice also reads the status word that was written before it, and so does not use the log.
//!
//! Hence no result is settled in a period or a bucket that is not its own, and none is lost.

use super::batch::Batch;
use super::in_flight::{self, InFlight};
use super::own_stripe::{OwnStripe, STRIPES};
use super::status::StatusWord;
use super::sync::{AtomicU64, Ordering, update};
use crate::machine::{Effect, NEVER, Nanos, Report, Results, Tick, Ticket};

/// The current slice of a circuit. All fields are read together, and lie on the cache line of the status
/// word; only the collectors are written by calls.
pub(super) struct Slices {
    number: AtomicU64,
    /// When the slice ends.
    end: AtomicU64,
    /// How much a collector may take.
    capacity: AtomicU64,
    /// How many nanoseconds make a call slow.
    slow_after: AtomicU64,
    stripes: Box<[Stripe]>,
}

/// What the threads of one stripe write, on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Stripe {
    successes: Collector,
    /// Only the log of the first stripe is used. No slice uses both the log and the counters.
    log: Collector,
    in_flight: InFlight,
    batch: Batch,
}

const _: () = assert!(size_of::<Stripe>() == 64);

/// What a call reads before it tries to settle in a slice.
#[derive(Clone, Copy)]
pub(super) struct Slice {
    pub(super) number: u64,
    pub(super) status: StatusWord,
}

/// What a slice has collected.
pub(super) enum Collected {
    Nothing,
    Successes(u64),
    Results(Results),
}

impl Slices {
    pub(super) fn new() -> Self {
        Self {
            number: AtomicU64::default(),
            end: AtomicU64::default(),
            capacity: AtomicU64::default(),
            slow_after: AtomicU64::default(),
            stripes: (0..*STRIPES).map(|_| Stripe::default()).collect(),
        }
    }

    /// Sets how many nanoseconds make a call slow. Called with the lock held.
    pub(super) fn set_slow_after(&self, slow_after: u64) {
        self.slow_after.store(slow_after, Ordering::Release);
    }

    /// Returns whether a call is slow that took so long. A call that was not timed is never slow.
    #[inline]
    pub(super) fn is_slow(&self, took: Option<Nanos>) -> bool {
        took.is_some_and(|took| took >= self.slow_after())
    }

    #[inline]
    fn slow_after(&self) -> u64 {
        self.slow_after.load(Ordering::Acquire)
    }

    /// Returns the current slice. The status word has to be read after the number.
    #[inline]
    pub(super) fn current(&self, status: impl FnOnce() -> StatusWord) -> Slice {
        let number = self.number.load(Ordering::Acquire);
        Slice { number, status: status() }
    }

    /// Settles a result in this slice if that is possible, and returns whether the result belonged to the
    /// current period. If it is not possible, returns the time, if it was read.
    ///
    /// Always inlined: a call of its own costs 1.5 of 10.5 ns in `cargo bench --bench overhead`, "count
    /// window of 100, half of the calls failing".
    #[inline(always)]
    pub(super) fn settle(
        &self,
        Slice { number, status }: Slice,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> Result<bool, Option<Tick>> {
        let failed = match report {
            Report::Success => false,
            Report::Failure => true,
            Report::FailureRetryAfter(_) | Report::SoftFailure { .. } => return Err(None),
            Report::Ignored | Report::Abandoned | Report::GivenUp => return Err(None),
        };
        let is_current = status.ticket() == ticket;
        // This holds for stale results as well, which never have an effect.
        let has_no_effect = status.is(StatusWord::NO_EFFECT) && !failed;
        let is_logged = status.is(StatusWord::LOGGED);
        let is_counted = status.is(StatusWord::COUNTED) && !failed;
        if !(has_no_effect || is_current && (is_logged || is_counted)) {
            return Err(None);
        }
        let end = if has_no_effect { NEVER } else { self.end.load(Ordering::Acquire) };
        let slow_after = self.slow_after();
        let is_timed = end != NEVER || slow_after != NEVER;
        let now = is_timed.then(clock);
        if now.is_some_and(|now| now >= end || now.saturating_sub(began) >= slow_after) {
            return Err(now);
        }
        let capacity = self.capacity.load(Ordering::Acquire);
        let is_settled = has_no_effect
            || if is_logged {
                self.log().append(number, capacity, failed)
            } else {
                self.own_stripe(OwnStripe::get()).successes.count(number, capacity)
            };
        if is_settled { Ok(is_current) } else { Err(now) }
    }

    /// Ends the slice, and returns what it has collected. Called with the lock held.
    pub(super) fn end(&self, status: StatusWord) -> Collected {
        let next = self.next_number();
        if status.is(StatusWord::COUNTED) {
            Collected::Successes(self.counters().map(|counter| counter.end(next, 0)).sum())
        } else if status.is(StatusWord::LOGGED) {
            Collected::Results(Results::from_bits(self.log().end(next, Results::EMPTY)))
        } else {
            Collected::Nothing
        }
    }

    /// Begins a slice if results with this effect can be collected. `publish_status` has to make the
    /// status word visible; that belongs between the other steps. Called with the lock held.
    pub(super) fn begin(&self, effect: Effect, publish_status: impl FnOnce()) {
        let next = self.next_number();
        let (until, capacity) = match effect {
            Effect::Counted { until, capacity } => {
                self.counters().for_each(|counter| counter.begin(next, 0));
                (until, capacity)
            }
            Effect::Logged { until, capacity } => {
                self.log().begin(next, Results::EMPTY);
                (until, capacity)
            }
            Effect::None | Effect::Unknown => return publish_status(),
        };
        update(&self.capacity, capacity);
        update(&self.end, until);
        publish_status();
        self.number.store(next, Ordering::Release);
    }

    fn next_number(&self) -> u64 {
        self.number.load(Ordering::Relaxed) + 1
    }

    #[inline]
    fn log(&self) -> &Collector {
        &self.stripes[0].log
    }

    fn counters(&self) -> impl Iterator<Item = &Collector> {
        self.stripes.iter().map(|stripe| &stripe.successes)
    }

    #[inline]
    fn own_stripe(&self, own: OwnStripe) -> &Stripe {
        &self.stripes[own.index]
    }

    // ---- successes that have not been reported yet --------------------------------------------

    #[inline]
    pub(super) fn own_batch(&self) -> &Batch {
        &self.own_stripe(OwnStripe::get()).batch
    }

    pub(super) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.stripes.iter().map(|stripe| &stripe.batch)
    }

    // ---- calls in flight ----------------------------------------------------------------------

    /// Counts a call that begins.
    #[inline]
    pub(super) fn begin_call(&self) {
        let own = OwnStripe::get();
        self.own_stripe(own).in_flight.begin(own);
    }

    /// Counts a call that has been settled.
    #[inline]
    pub(super) fn end_call(&self) {
        let own = OwnStripe::get();
        self.own_stripe(own).in_flight.end(own);
    }

    /// Whether no call is in flight, of those that are counted.
    ///
    /// The calls that have ended are summed up first. None of the counts ever falls, so if the sums are equal, there
    /// was a moment between the two at which no call was in flight. Whatever the calls did is visible then. If no
    /// call can begin any more, and every call that began did so before, this stays so.
    pub(super) fn have_no_calls(&self) -> bool {
        let all = || self.stripes.iter().map(|stripe| &stripe.in_flight);
        let ended = in_flight::sum(all().map(InFlight::ended));
        ended == in_flight::sum(all().map(InFlight::begun))
    }
}

/// A word that collects results: the number of its slice in the upper 40 bits, and the results in the
/// lower 24. A slice would have to end 2^40 times between two instructions of one thread for its number to
/// be mistaken for another.
#[derive(Default)]
struct Collector(AtomicU64);

const NUMBER_SHIFT: u32 = 24;
const RESULTS: u64 = (1 << NUMBER_SHIFT) - 1;

// A log holds one bit for each result, below a leading 1.
const _: () = assert!(Effect::MAX_COUNTED <= RESULTS && Effect::MAX_LOGGED < NUMBER_SHIFT as u64);

impl Collector {
    /// Counts a success if this is still the slice with this number and the counter is below `capacity`.
    /// If not, the caller has to take the lock.
    #[inline]
    fn count(&self, number: u64, capacity: u64) -> bool {
        self.update(number, |count| if count < capacity { Some(count + 1) } else { None })
    }

    /// Appends a result on the same conditions. The results are the bits of [`Results`].
    #[inline]
    fn append(&self, number: u64, capacity: u64, failed: bool) -> bool {
        self.update(number, |results| {
            if results >> capacity == 0 { Some(results << 1 | u64::from(failed)) } else { None }
        })
    }

    #[inline]
    fn update(&self, number: u64, change: impl Fn(u64) -> Option<u64>) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & !RESULTS == number << NUMBER_SHIFT {
            let Some(results) = change(seen & RESULTS) else { return false };
            let next = seen & !RESULTS | results;
            match self.0.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    fn begin(&self, number: u64, empty: u64) {
        self.0.store(number << NUMBER_SHIFT | empty, Ordering::Release);
    }

    /// Returns the results. Nothing more is collected, because the slice `next` has not begun.
    fn end(&self, next: u64, empty: u64) -> u64 {
        self.0.swap(next << NUMBER_SHIFT | empty, Ordering::AcqRel) & RESULTS
    }
}

#[cfg(test)]
mod tests;
