//! A window of exactly the last n calls: a ring with two bits for each call.

use super::{Counts, MOST_PACKED, Results, Successes};

const FAILED: u64 = 0b01;
const SLOW: u64 = 0b10;
const BITS_PER_CALL: u32 = 2;
const CALLS_PER_WORD: u32 = u64::BITS / BITS_PER_CALL;
const ALL_FAILED: u64 = u64::MAX / 3 * FAILED;
const ALL_SLOW: u64 = u64::MAX / 3 * SLOW;

/// Memory for up to this many words is allocated at first. The ring of a larger window grows as calls arrive.
const WORDS_AT_FIRST: u32 = 16;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CountWindow {
    size: u32,
    /// The index of the next call. Once the window is full, this is the index of the oldest call.
    next: u32,
    ring: Vec<u64>,
    counts: Counts,
}

impl CountWindow {
    pub(super) fn new(size: u32) -> Self {
        let words = size.div_ceil(CALLS_PER_WORD).min(WORDS_AT_FIRST);
        Self { size, next: 0, ring: Vec::with_capacity(words as usize), counts: Counts::default() }
    }

    #[inline]
    pub(super) fn record(&mut self, failed: bool, slow: bool) {
        let entry = if failed { FAILED } else { 0 } | if slow { SLOW } else { 0 };
        self.write(entry, 1);
    }

    /// Records `n` successes that were not slow.
    pub(super) fn record_successes(&mut self, n: u64) {
        // As many successes as fit fill the window. Further ones would not change it.
        let mut left = n.min(self.size.into()) as u32;
        while left > 0 {
            left -= self.write(0, left);
        }
    }

    pub(super) fn record_results(&mut self, results: Results) {
        self.write_all(in_pairs(results.oldest_first()), results.len());
    }

    /// Writes `n` entries, which is at most a word full.
    fn write_all(&mut self, mut entries: u64, n: u32) {
        let mut left = n;
        while left > 0 {
            let written = self.write(entries, left);
            left -= written;
            entries = entries.checked_shr(written * BITS_PER_CALL).unwrap_or(0);
        }
    }

    /// Writes as many of the `n` entries as fit into the current word, and returns how many. The oldest entry
    /// is in the lowest bits.
    #[inline]
    fn write(&mut self, entries: u64, n: u32) -> u32 {
        let index = (self.next / CALLS_PER_WORD) as usize;
        let offset = self.next % CALLS_PER_WORD;
        if index == self.ring.len() {
            self.ring.push(0);
        }
        let n = n.min(CALLS_PER_WORD - offset).min(self.size - self.next);
        let shift = offset * BITS_PER_CALL;
        let mask = u64::MAX >> (u64::BITS - n * BITS_PER_CALL);
        let word = &mut self.ring[index];
        let come = entries & mask;
        // A copy, because reading a field back right after writing it takes longer than everything else.
        let mut counts = self.counts;
        if counts.calls == u64::from(self.size) {
            counts.subtract(count(*word >> shift & mask, n));
        }
        counts.add(count(come, n));
        *word = *word & !(mask << shift) | come << shift;
        self.counts = counts;
        self.next = if self.next + n == self.size { 0 } else { self.next + n };
        n
    }

    /// Returns how many calls the window holds, if they are all successes. Filling a long window again would take long.
    pub(super) fn pack(&self) -> Option<Successes> {
        let Counts { calls, failures: 0, slow: 0 } = self.counts else { return None };
        if self.size > WORDS_AT_FIRST * CALLS_PER_WORD {
            return None;
        }
        let mut newest = [0; MOST_PACKED];
        (newest[0], newest[1]) = (calls as u16, self.next as u16); // at most `size`
        Some(Successes { newest })
    }

    /// Fills a new window.
    pub(super) fn unpack(&mut self, Successes { newest: [calls, next, ..] }: &Successes) {
        self.record_successes((*calls).into());
        self.next = (*next).into();
    }

    /// Empties the window. The ring is not cleared, because each entry is written before it is read again.
    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.counts = Counts::default();
    }

    /// Changes the size. The newest calls stay, as many as fit. Returns whether these are all.
    pub(crate) fn resize(&mut self, size: u32) -> bool {
        let mut resized = Self::new(size);
        let calls = self.counts.calls as u32; // at most the present size
        let mut left = calls.min(size);
        let is_kept = left == calls;
        let mut index =
            if self.next >= left { self.next - left } else { self.size - (left - self.next) };
        while left > 0 {
            let offset = index % CALLS_PER_WORD;
            let n = left.min(CALLS_PER_WORD - offset).min(self.size - index);
            resized.write_all(
                self.ring[(index / CALLS_PER_WORD) as usize] >> (offset * BITS_PER_CALL),
                n,
            );
            index = if index + n == self.size { 0 } else { index + n };
            left -= n;
        }
        *self = resized;
        is_kept
    }

    pub(super) fn size(&self) -> u64 {
        self.size.into()
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the window is full and holds only successes that were not slow. Another one changes nothing.
    pub(super) fn is_full_of_successes(&self) -> bool {
        let Counts { calls, failures, slow } = self.counts;
        calls == u64::from(self.size) && failures == 0 && slow == 0
    }
}

/// Counts the calls, failures and slow calls in `n` entries.
#[inline]
fn count(entries: u64, n: u32) -> Counts {
    Counts {
        calls: n.into(),
        failures: (entries & ALL_FAILED).count_ones().into(),
        slow: (entries & ALL_SLOW).count_ones().into(),
    }
}

/// Spreads the lower 32 bits over the even bits.
fn in_pairs(bits: u64) -> u64 {
    let spread = |bits: u64, by: u32, mask: u64| (bits | bits << by) & mask;
    let bits = spread(bits, 16, 0x0000_ffff_0000_ffff);
    let bits = spread(bits, 8, 0x00ff_00ff_00ff_00ff);
    let bits = spread(bits, 4, 0x0f0f_0f0f_0f0f_0f0f);
    let bits = spread(bits, 2, 0x3333_3333_3333_3333);
    spread(bits, 1, 0x5555_5555_5555_5555)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn it_counts_exactly_the_last_n_calls(
            size in 1_u32..200,
            calls in prop::collection::vec(
                (
                    (any::<bool>(), any::<bool>()),
                    prop::bool::weighted(0.01),
                    0_u64..300,
                    prop::collection::vec(any::<bool>(), 0..23),
                ),
                0..600,
            ),
        ) {
            let mut window = CountWindow::new(size);
            let mut last = VecDeque::new();
            for ((failed, slow), clear, successes, results) in calls {
                if clear {
                    window.clear();
                    last.clear();
                }
                window.record(failed, slow);
                last.push_back((failed, slow));
                // Mostly zero, so that failures are often next to each other.
                let successes = successes.saturating_sub(200);
                window.record_successes(successes);
                last.extend((0..successes).map(|_| (false, false)));
                window.record_results(Results::of(&results));
                last.extend(results.into_iter().map(|failed| (failed, false)));
                while last.len() > size as usize {
                    last.pop_front();
                }
                let mut expected = Counts::default();
                last.iter().for_each(|&(failed, slow)| expected.record(failed, slow));
                prop_assert_eq!(window.counts(), expected);
            }
        }
    }

    #[test]
    fn the_largest_window_takes_memory_only_as_calls_arrive() {
        let mut window = CountWindow::new(u32::MAX);
        for _ in 0..1000 {
            window.record(true, false);
        }
        assert_eq!(window.counts().failures, 1000);
        assert!(window.ring.capacity() <= 64);
    }
}
