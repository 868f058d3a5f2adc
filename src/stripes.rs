//! Counters for the successes of a slice, one for each of a few threads: see [`crate::circuit`].

use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use crate::sync::{AtomicU64, Ordering, own_stripe};

/// The successes of the present slice, spread over cache lines.
pub(crate) struct Stripes(Box<[Stripe]>);

/// The number of the slice in the upper bits, the successes counted in it in the lower ones. 40 bits
/// of the number fit: to be mistaken for another, a slice would have to end 2^40 times between two
/// instructions of one thread.
#[derive(Default)]
#[repr(align(64))]
struct Stripe(AtomicU64);

/// Where the number of a slice begins, and what is below.
pub(crate) const SLICE_SHIFT: u32 = 24;
pub(crate) const BELOW: u64 = (1 << SLICE_SHIFT) - 1;

/// A stripe has room for no more than 16 million successes; the next one takes the lock, which starts a
/// new slice. Much fewer would not do: whoever ends a slice sends the others to the lock, too.
pub(crate) const ROOM: u64 = BELOW;

/// One for each core, up to 16, and a power of two.
static STRIPES: LazyLock<usize> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    cores.min(16).next_power_of_two()
});

impl Stripes {
    pub(crate) fn new() -> Self {
        Self((0..*STRIPES).map(|_| Stripe::default()).collect())
    }

    /// Counts a success if `slice` is still the present one, and if fewer than `room` (at most [`ROOM`])
    /// are counted in this stripe. If not, the caller has to take the lock.
    #[inline]
    pub(crate) fn count_success(&self, slice: u64, room: u64) -> bool {
        let Stripe(stripe) = &self.0[own_stripe() & (self.0.len() - 1)];
        let mut seen = stripe.load(Ordering::Relaxed);
        while seen & !BELOW == slice << SLICE_SHIFT && seen & BELOW < room {
            match stripe.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Begins a slice with this number. With the lock held.
    pub(crate) fn begin(&self, slice: u64) {
        for Stripe(stripe) in &self.0 {
            stripe.store(slice << SLICE_SHIFT, Ordering::Release);
        }
    }

    /// Ends the slice and returns the successes counted in it; `next` has not begun. With the lock held.
    pub(crate) fn end(&self, next: u64) -> u64 {
        let end = |Stripe(stripe): &Stripe| stripe.swap(next << SLICE_SHIFT, Ordering::AcqRel);
        self.0.iter().map(|stripe| end(stripe) & BELOW).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(slice: u64) -> Stripes {
        let stripes = Stripes::new();
        stripes.begin(slice);
        stripes
    }

    #[test]
    fn a_success_is_counted_in_the_present_slice_only() {
        let stripes = begun(1);
        assert!(stripes.count_success(1, ROOM));
        assert!(!stripes.count_success(2, ROOM));
        assert_eq!(stripes.end(2), 1);
        assert!(!stripes.count_success(1, ROOM));
        stripes.begin(2);
        assert!(!stripes.count_success(1, ROOM));
        assert!(stripes.count_success(2, ROOM));
        assert!(stripes.count_success(2, ROOM));
        assert_eq!(stripes.end(9), 2);
    }

    #[test]
    fn an_old_slice_is_not_mistaken_for_one_that_is_many_slices_later() {
        for bit in 0..u64::BITS - SLICE_SHIFT {
            assert!(!begun(1 << bit).count_success(0, ROOM), "slices wrap at bit {bit}");
        }
    }

    #[test]
    fn a_stripe_counts_no_more_than_there_is_room_for() {
        let stripes = begun(1);
        assert!(stripes.count_success(1, 2));
        assert!(stripes.count_success(1, 2));
        assert!(!stripes.count_success(1, 2));
        assert_eq!(stripes.end(9), 2);
    }

    #[test]
    fn a_full_counter_counts_no_further_and_does_not_spill_into_the_slice() {
        let stripes = begun(7);
        let Stripe(own) = &stripes.0[own_stripe() & (stripes.0.len() - 1)];
        own.store((7 << SLICE_SHIFT) | (BELOW - 1), Ordering::Relaxed);
        assert!(stripes.count_success(7, ROOM));
        assert!(!stripes.count_success(7, ROOM));
        assert!(!stripes.count_success(8, ROOM));
        assert_eq!(stripes.end(9), BELOW);
    }

    #[test]
    fn successes_of_all_threads_are_collected() {
        let stripes = begun(1);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| assert!(stripes.count_success(1, ROOM)));
            }
        });
        assert_eq!(stripes.end(9), 40);
    }
}
