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
        let (mask, mixed) = (self.buckets.len() - 1, mix(hash));
        (&mut self.buckets[mixed as u32 as usize & mask], ((mixed >> 32) as u32).max(1))
    }
}

/// Lets each half of a hash depend on all of its bits. The hashes of numbers in a row have a pattern, by which many of
/// them might get into few buckets. This is the finalizer of SplitMix64.
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash with a pattern.
    fn hash(key: u32) -> u64 {
        (u64::from(key) + 1).wrapping_mul(1 << 40 | 1 << 8)
    }

    #[test]
    fn most_of_the_latest_keys_are_remembered_and_earlier_ones_are_forgotten() {
        let mut ghosts = Ghosts::new(100);
        (0..5_000).for_each(|key| ghosts.add(hash(key)));
        let mut remembered =
            |keys: std::ops::Range<u32>| keys.filter(|key| ghosts.take(hash(*key))).count();
        assert_eq!(remembered(0..4_000), 0);
        assert!(remembered(4_950..5_000) > 47);
        assert_eq!(remembered(4_950..5_000), 0, "they were taken");
    }
}
