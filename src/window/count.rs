//! The last n calls, exactly: a ring of two bits a call.

use super::Counts;

const FAILED: u64 = 0b01;
const SLOW: u64 = 0b10;
const CALLS_PER_WORD: u32 = 32;
const ALL_FAILED: u64 = u64::MAX / 3 * FAILED;
const ALL_SLOW: u64 = u64::MAX / 3 * SLOW;

/// Up to this many words are taken at once; the ring of a larger window grows as calls arrive.
const WORDS_AT_FIRST: u32 = 16;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CountWindow {
    size: u32,
    /// Where the next call goes; once the window is full, the oldest call is there.
    next: u32,
    ring: Vec<u64>,
    counts: Counts,
}

impl CountWindow {
    pub(super) fn new(size: u32) -> Self {
        let words = size.div_ceil(CALLS_PER_WORD).min(WORDS_AT_FIRST);
        Self { size, next: 0, ring: Vec::with_capacity(words as usize), counts: Counts::default() }
    }

    pub(super) fn record(&mut self, failed: bool, slow: bool) {
        let index = (self.next / CALLS_PER_WORD) as usize;
        let shift = self.next % CALLS_PER_WORD * 2;
        if index == self.ring.len() {
            self.ring.push(0);
        }
        let word = &mut self.ring[index];
        // On a copy: to read back at once what was just written costs more than all the rest.
        let mut counts = self.counts;
        if counts.calls == u64::from(self.size) {
            let oldest = *word >> shift;
            counts.subtract(Counts {
                calls: 1,
                failures: u64::from(oldest & FAILED != 0),
                slow: u64::from(oldest & SLOW != 0),
            });
        }
        let entry = if failed { FAILED } else { 0 } | if slow { SLOW } else { 0 };
        *word = *word & !((FAILED | SLOW) << shift) | entry << shift;
        counts.record(failed, slow);
        self.counts = counts;
        self.next = if self.next + 1 == self.size { 0 } else { self.next + 1 };
    }

    /// Records `n` successes that were not slow, a word at a time where it can.
    pub(super) fn record_successes(&mut self, n: u64) {
        // More than fill the window leave it as it is when it is full of them.
        let mut left = n.min(self.size.into());
        while left > 0 {
            let index = (self.next / CALLS_PER_WORD) as usize;
            let is_whole_word = self.next % CALLS_PER_WORD == 0
                && left >= CALLS_PER_WORD.into()
                && self.size - self.next >= CALLS_PER_WORD
                && self.counts.calls == u64::from(self.size);
            if !is_whole_word {
                self.record(false, false);
                left -= 1;
                continue;
            }
            let oldest = std::mem::take(&mut self.ring[index]);
            self.counts.failures -= u64::from((oldest & ALL_FAILED).count_ones());
            self.counts.slow -= u64::from((oldest & ALL_SLOW).count_ones());
            self.next = (self.next + CALLS_PER_WORD) % self.size;
            left -= u64::from(CALLS_PER_WORD);
        }
    }

    /// What the ring holds need not go: it is not read again before it is written.
    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.counts = Counts::default();
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Then the ring looks the same after one more success.
    pub(super) fn is_full_of_successes(&self) -> bool {
        let Counts { calls, failures, slow } = self.counts;
        calls == u64::from(self.size) && failures == 0 && slow == 0
    }
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
                (any::<bool>(), any::<bool>(), prop::bool::weighted(0.01), 0_u64..300),
                0..600,
            ),
        ) {
            let mut window = CountWindow::new(size);
            let mut last = VecDeque::new();
            for (failed, slow, clear, successes) in calls {
                if clear {
                    window.clear();
                    last.clear();
                }
                window.record(failed, slow);
                last.push_back((failed, slow));
                // Mostly none, so that failures meet.
                let successes = successes.saturating_sub(200);
                window.record_successes(successes);
                last.extend((0..successes).map(|_| (false, false)));
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
