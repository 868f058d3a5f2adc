//! How the last few calls ended, in their order: see [`crate::circuit`].

use crate::stripes::{BELOW, SLICE_SHIFT};
use crate::sync::{AtomicU64, Ordering};

/// The results of the present slice.
///
/// The number of the slice in the upper 40 bits, as in a [stripe](crate::stripes); in the lower ones
/// a 1, and behind it a bit for each result, 1 if it is a failure. (The 1 is missing before the first
/// slice begins.)
#[derive(Default)]
pub(crate) struct Log(AtomicU64);

/// It has room for no more results; the next one takes the lock, which starts a new slice.
pub(crate) const ROOM: u64 = SLICE_SHIFT as u64 - 1;

impl Log {
    /// Appends a result if `slice` is still the present one, and if fewer than `room` (at most
    /// [`ROOM`]) are there. If not, the caller has to take the lock.
    #[inline]
    pub(crate) fn append(&self, slice: u64, room: u64, failed: bool) -> bool {
        let Self(log) = self;
        let mut seen = log.load(Ordering::Relaxed);
        while seen & !BELOW == slice << SLICE_SHIFT && (seen & BELOW) >> room == 0 {
            let next = seen & !BELOW | (seen & BELOW) << 1 | u64::from(failed);
            match log.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Begins a slice with this number. With the lock held.
    pub(crate) fn begin(&self, slice: u64) {
        self.0.store(slice << SLICE_SHIFT | 1, Ordering::Release);
    }

    /// Ends the slice and returns its results; `next` has not begun. With the lock held.
    pub(crate) fn end(&self, next: u64) -> Results {
        Results(self.0.swap(next << SLICE_SHIFT | 1, Ordering::AcqRel) & BELOW)
    }
}

/// How a few calls ended: a 1, and behind it a bit for each, 1 if it failed, the newest lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Results(u64);

impl Results {
    /// Which calls failed, oldest first.
    #[cfg(test)]
    pub(crate) fn of(failed: &[bool]) -> Self {
        Self(failed.iter().fold(1, |all, failed| all << 1 | u64::from(*failed)))
    }

    pub(crate) fn len(self) -> u32 {
        self.0.ilog2()
    }

    pub(crate) fn failures(self) -> u32 {
        self.0.count_ones() - 1
    }

    /// How many of the newest failed.
    pub(crate) fn run(self) -> u32 {
        self.0.trailing_ones().min(self.len())
    }

    /// A bit for each, the oldest lowest.
    pub(crate) fn oldest_first(self) -> u64 {
        self.0.reverse_bits() >> self.0.leading_zeros() >> 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(slice: u64) -> Log {
        let log = Log::default();
        log.begin(slice);
        log
    }

    #[test]
    fn results_are_kept_in_their_order() {
        let all: Vec<bool> = (0..ROOM).map(|n| n % 3 == 1).collect();
        for results in [&all[..], &all[..4], &all[..1], &[]] {
            let log = begun(1);
            assert!(results.iter().all(|failed| log.append(1, ROOM, *failed)));
            let kept = log.end(2);
            assert_eq!(kept, Results::of(results));
            let kept = (0..kept.len()).map(|n| kept.oldest_first() >> n & 1 == 1);
            assert_eq!(kept.collect::<Vec<_>>(), results);
        }
    }

    #[test]
    fn a_run_of_failures_is_one_at_the_end() {
        let of = |all: &[bool]| {
            let results = Results::of(all);
            (results.len(), results.failures(), results.run())
        };
        assert_eq!(of(&[]), (0, 0, 0));
        assert_eq!(of(&[true]), (1, 1, 1));
        assert_eq!(of(&[true, true]), (2, 2, 2));
        assert_eq!(of(&[true, true, false, true]), (4, 3, 1));
        assert_eq!(of(&[true, false]), (2, 1, 0));
    }

    #[test]
    fn a_result_is_appended_in_the_present_slice_only() {
        let log = begun(1);
        assert!(!log.append(2, ROOM, true));
        assert!(log.append(1, ROOM, true));
        assert_eq!(log.end(2).len(), 1);
        assert!(!log.append(1, ROOM, true));
        log.begin(2);
        assert!(!log.append(1, ROOM, true));
        assert!(log.append(2, ROOM, false));
        assert_eq!(log.end(2).len(), 1);
    }

    #[test]
    fn an_old_slice_is_not_mistaken_for_one_that_is_many_slices_later() {
        for bit in 0..u64::BITS - SLICE_SHIFT {
            assert!(!begun(1 << bit).append(0, ROOM, true), "slices wrap at bit {bit}");
        }
    }

    #[test]
    fn no_more_results_are_kept_than_there_is_room_for() {
        for room in 0..=ROOM {
            let log = begun(1);
            (0..room).for_each(|_| assert!(log.append(1, room, true)));
            assert!(!log.append(1, room, true));
            assert_eq!(u64::from(log.end(2).run()), room);
        }
    }
}
