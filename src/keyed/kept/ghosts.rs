//! [`Ghosts`].

use std::collections::{HashSet, VecDeque};

use foldhash::fast::RandomState;

/// Remembers the keys that were evicted last, by their hashes.
pub(super) struct Ghosts {
    most: usize,
    hashes: HashSet<u64, RandomState>,
    /// The hashes, oldest first. Some of them may have been taken already.
    order: VecDeque<u64>,
}

impl Ghosts {
    /// Remembers up to `most` keys. Memory for them is reserved at once, because growing later takes long.
    pub(super) fn new(most: usize) -> Self {
        let hashes = HashSet::with_capacity_and_hasher(2 * most, RandomState::default());
        Self { most, hashes, order: VecDeque::with_capacity(most) }
    }

    pub(super) fn add(&mut self, hash: u64) {
        if self.order.len() >= self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.hashes.remove(&oldest);
            }
        }
        self.hashes.insert(hash);
        self.order.push_back(hash);
    }

    /// Forgets a key. Returns whether it was remembered.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        self.hashes.remove(&hash)
    }
}
