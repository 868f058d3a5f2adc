//! [`Batch`]: successes that are reported to the observer together.

use super::Circuit;
use super::status::StatusWord;
use super::sync::{AtomicU64, Ordering};
use crate::machine::Ticket;

/// The successes of one stripe that the observer has not been told of yet.
///
/// An observer that only counts would take most of the time of a healthy call, and the threads would compete for its
/// counter. So calls add up here, and whoever needs the sum takes it: every reading and every transition, the end of
/// the breaker, and a call that finds the batch full.
#[derive(Default)]
pub(super) struct Batch {
    /// The number of successes in the lower 12 bits. Above them is the first ticket of the breaker that they belong to,
    /// so that a call that ends when its breaker is gone does not count for the next one in the circuit.
    successes: AtomicU64,
    /// How many successes of this breaker and this stripe have been reported.
    reported: AtomicU64,
}

const TICKET_SHIFT: u32 = 12;
const MOST: u64 = (1 << TICKET_SHIFT) - 1;

// Every ticket fits.
const _: () = assert!(TICKET_SHIFT <= StatusWord::TICKET_SHIFT);

/// A batch may hold one success for so many that have been reported. So it holds none at first, and the sum lags
/// behind by little even if nobody reads it. A model has few calls.
const REPORTED_FOR_ONE: u64 = if cfg!(tower_breaker_loom) { 1 } else { 256 };

// No ordering is needed: nothing else is read because of a batch. Each success is added and taken by an atomic
// read-modify-write, so it is taken once.
impl Batch {
    /// Begins to count for the breaker with this first ticket.
    fn begin(&self, first_ticket: Ticket) {
        // Loom lets an update overlook a store, but not a swap.
        self.successes.swap(first_ticket << TICKET_SHIFT, Ordering::Relaxed);
        self.reported.store(0, Ordering::Relaxed);
    }

    /// Adds the success of a call with this ticket. Returns false if the batch is full, or belongs to a later breaker.
    #[inline]
    fn add(&self, ticket: Ticket) -> bool {
        let capacity = (self.reported.load(Ordering::Relaxed) / REPORTED_FOR_ONE).min(MOST);
        let add_one = |seen| {
            let is_own = seen >> TICKET_SHIFT <= ticket;
            (is_own && seen & MOST < capacity).then_some(seen + 1)
        };
        self.successes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add_one).is_ok()
    }

    /// Takes what belongs to the breaker with this first ticket.
    fn take(&self, first_ticket: Ticket) -> u64 {
        let empty = first_ticket << TICKET_SHIFT;
        let all = |seen| (seen > empty && seen <= empty | MOST).then_some(empty);
        let taken = self.successes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, all);
        let successes = taken.map_or(0, |taken| taken & MOST);
        if successes > 0 {
            self.reported.fetch_add(successes, Ordering::Relaxed);
        }
        successes
    }
}

impl Circuit {
    /// Begins to count for the breaker with this first ticket. Called with the lock held.
    pub(super) fn begin_batches(&self, first_ticket: Ticket) {
        if StatusWord::BATCHED != 0 {
            self.published.slices.batches().for_each(|batch| batch.begin(first_ticket));
        }
    }

    /// Adds a success to the batch of this thread. Returns false if the caller has to report it at once.
    #[inline]
    pub(super) fn batch_success(&self, ticket: Ticket) -> bool {
        let batch = self.published.slices.own_batch();
        let is_batched = batch.add(ticket);
        if !is_batched {
            self.report_batches();
            batch.reported.fetch_add(1, Ordering::Relaxed); // by the caller
        }
        is_batched
    }

    /// Reports the successes of all threads that have not been reported yet. This runs user code.
    #[inline]
    pub(super) fn report_batches(&self) {
        if StatusWord::BATCHED != 0 {
            self.report_all_batches();
        }
    }

    #[cold]
    fn report_all_batches(&self) {
        if let Some(watch) = self.watch.load().as_deref() {
            let take = |batch: &Batch| batch.take(watch.first_ticket());
            let successes = self.published.slices.batches().map(take).sum();
            if successes > 0 {
                watch.calls_succeeded(successes);
            }
        }
    }
}

#[cfg(all(test, not(tower_breaker_loom)))]
mod tests {
    use super::*;

    fn begun(first_ticket: Ticket, reported: u64) -> Batch {
        let batch = Batch::default();
        batch.begin(first_ticket);
        batch.reported.store(reported, Ordering::Relaxed);
        batch
    }

    fn fill(batch: &Batch, ticket: Ticket) -> u64 {
        (0..10_000).take_while(|_| batch.add(ticket)).count() as u64
    }

    #[test]
    fn a_batch_holds_one_success_for_256_that_have_been_reported_and_at_most_4095() {
        for (reported, capacity) in
            [(0, 0), (255, 0), (256, 1), (2560, 10), (4095 * 256, 4095), (u64::MAX, 4095)]
        {
            let batch = begun(7, reported);
            assert_eq!(fill(&batch, 7), capacity);
            batch.reported.store(0, Ordering::Relaxed);
            assert_eq!([batch.take(7), batch.take(7)], [capacity, 0]);
            assert_eq!(batch.reported.load(Ordering::Relaxed), capacity);
        }
    }

    #[test]
    fn a_batch_takes_and_gives_successes_of_its_own_breaker_only() {
        const LAST: Ticket = Ticket::MAX >> StatusWord::TICKET_SHIFT;
        for first_ticket in [1, 1000, LAST - 1] {
            let batch = begun(first_ticket, 2560);
            assert_eq!(fill(&batch, first_ticket - 1), 0);
            assert_eq!(fill(&batch, LAST), 10);
            assert_eq!([first_ticket - 1, first_ticket + 1].map(|other| batch.take(other)), [0, 0]);
            assert_eq!(batch.take(first_ticket), 10);
            assert_eq!(fill(&batch, first_ticket), 10);
            batch.begin(first_ticket + 1); // of the next breaker
            batch.reported.store(2560, Ordering::Relaxed);
            assert_eq!(fill(&batch, first_ticket), 0);
        }
    }
}
