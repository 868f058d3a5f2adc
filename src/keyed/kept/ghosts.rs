//! [`Ghosts`].

/// Remembers the keys that were evicted last, by their hashes.
///
/// This is a table of small buckets. A key replaces the earliest one in its bucket. So the table takes little memory,
/// and a key is forgotten at the latest when many more have been evicted than there are places.
pub(super) struct Ghosts {
    /// Halves of hashes, the latest first in each bucket. The other half says which bucket it is. Zero is no hash.
    buckets: Box<[[u32; PLACES]]>,
}

/// With twice as many places as keys to remember, few buckets are full before all of these keys are there.
const PLACES: usize = 4;

impl Ghosts {
    /// Remembers about `most` keys. Memory for them is reserved at once, because growing later takes long.
    pub(super) fn new(most: usize) -> Self {
        let buckets = (2 * most).div_ceil(PLACES).next_power_of_two();
        Self { buckets: vec![[0; PLACES]; buckets].into() }
    }

    pub(super) fn add(&mut self, hash: u64) {
        let (bucket, rest) = self.bucket(hash);
        bucket.rotate_right(1);
        bucket[0] = rest;
    }

    /// Forgets a key. Returns whether it was remembered.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        let (bucket, rest) = self.bucket(hash);
        let place = bucket.iter_mut().find(|place| **place == rest);
        place.map(|place| *place = 0).is_some()
    }

    fn bucket(&mut self, hash: u64) -> (&mut [u32; PLACES], u32) {
        let mask = self.buckets.len() - 1;
        (&mut self.buckets[hash as u32 as usize & mask], ((hash >> 32) as u32).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mixes all bits, always in the same way.
    fn hash(key: u32) -> u64 {
        let mixed = (u64::from(key) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 29
    }

    #[test]
    fn most_of_the_latest_keys_are_remembered_and_earlier_ones_are_forgotten() {
        let mut ghosts = Ghosts::new(1000);
        (0..100_000).for_each(|key| ghosts.add(hash(key)));
        let mut remembered =
            |keys: std::ops::Range<u32>| keys.filter(|key| ghosts.take(hash(*key))).count();
        assert_eq!(remembered(0..80_000), 0);
        assert!(remembered(99_500..100_000) > 490);
        assert_eq!(remembered(99_500..100_000), 0, "they were taken");
    }
}
