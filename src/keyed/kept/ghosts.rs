//! [`Ghosts`].

/// Remembers the keys that were evicted last, by their hashes.
///
/// This is a table in which a later key replaces an earlier one in the same place. So it takes little memory, and a
/// key is forgotten at the latest when many more have been evicted than there are places.
pub(super) struct Ghosts {
    /// One half of a hash. The other half says in which place it is. Zero if there is none.
    places: Box<[u32]>,
}

impl Ghosts {
    /// Remembers about `most` keys. Memory for them is reserved at once, because growing later takes long.
    pub(super) fn new(most: usize) -> Self {
        Self { places: vec![0; most.next_power_of_two()].into() }
    }

    pub(super) fn add(&mut self, hash: u64) {
        let (place, rest) = self.place(hash);
        *place = rest;
    }

    /// Forgets a key. Returns whether it was remembered.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        let (place, rest) = self.place(hash);
        let is_there = *place == rest;
        if is_there {
            *place = 0;
        }
        is_there
    }

    fn place(&mut self, hash: u64) -> (&mut u32, u32) {
        let mask = self.places.len() - 1;
        (&mut self.places[hash as u32 as usize & mask], (hash >> 32) as u32 | 1)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use foldhash::fast::RandomState;

    use super::*;

    #[test]
    fn most_of_the_latest_keys_are_remembered_and_earlier_ones_are_forgotten() {
        let hasher = RandomState::default();
        let hash = |key: u32| hasher.hash_one(key);
        let mut ghosts = Ghosts::new(1000);
        (0..100_000).for_each(|key| ghosts.add(hash(key)));
        let mut remembered =
            |keys: std::ops::Range<u32>| keys.filter(|key| ghosts.take(hash(*key))).count();
        assert_eq!(remembered(0..80_000), 0);
        assert!(remembered(99_500..100_000) > 350);
        assert_eq!(remembered(99_500..100_000), 0, "they were taken");
    }
}
