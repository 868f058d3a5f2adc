//! Random numbers from a seed.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::Range;
use std::time::Duration;

/// Draws random numbers. Each one is the hash of a seed and of how many were drawn before.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    /// Different values of `who` draw different numbers.
    pub(crate) fn new(seed: u64, who: impl std::hash::Hash) -> Self {
        Self { seed: hash((seed, who)), drawn: 0 }
    }

    pub(crate) fn number(&mut self, range: Range<u64>) -> u64 {
        self.drawn += 1;
        range.start + hash((self.seed, self.drawn)) % (range.end - range.start)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.number(0..100) < percent
    }

    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    pub(crate) fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.number(0..from.len() as u64) as usize]
    }
}

fn hash(what: impl std::hash::Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(what)
}
