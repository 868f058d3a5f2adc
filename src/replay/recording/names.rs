//! [`Names`]: the names of breakers, each stored once, without a lock and without an allocation.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

const MOST_NAMES: usize = 256;
const MOST_BYTES: usize = 32 * 1024;

/// The names that have been seen. Each has the number of its place in a hash table that never grows and forgets nothing.
#[derive(Debug)]
pub(super) struct Names {
    hasher: RandomState,
    /// Where the text of a name is: its beginning and its length plus 1, in 32 bits each. 0 if the place is free.
    places: Box<[AtomicU64]>,
    text: Box<[AtomicU8]>,
    used: AtomicUsize,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            places: (0..MOST_NAMES).map(|_| AtomicU64::new(0)).collect(),
            text: (0..MOST_BYTES).map(|_| AtomicU8::new(0)).collect(),
            used: AtomicUsize::new(0),
        }
    }
}

impl Names {
    /// Returns the number of a name, or `None` if there is no room for it.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let first = self.hasher.hash_one(name) as usize;
        let mut written = None;
        for i in 0..self.places.len() {
            let index = (first + i) % self.places.len();
            let mut seen = self.places[index].load(Ordering::Acquire);
            if seen == 0 {
                let place = match written {
                    Some(place) => place,
                    None => *written.insert(self.write(name)?),
                };
                let free = &self.places[index];
                match free.compare_exchange(0, place, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => return Some(index as u64),
                    Err(other) => seen = other,
                }
            }
            if self.is(seen, name) {
                return Some(index as u64);
            }
        }
        None
    }

    /// Stores a text that nobody looks at before its place is published. It stays there even if another thread publishes
    /// the same name first.
    fn write(&self, name: &str) -> Option<u64> {
        if self.used.load(Ordering::Relaxed).checked_add(name.len())? > self.text.len() {
            return None;
        }
        let start = self.used.fetch_add(name.len(), Ordering::Relaxed);
        let room = self.text.get(start..start + name.len())?;
        room.iter().zip(name.bytes()).for_each(|(to, byte)| to.store(byte, Ordering::Relaxed));
        Some((start as u64) << 32 | (name.len() as u64 + 1))
    }

    fn text(&self, place: u64) -> &[AtomicU8] {
        let (start, len) = ((place >> 32) as usize, (place as u32 - 1) as usize);
        &self.text[start..start + len]
    }

    fn is(&self, place: u64, name: &str) -> bool {
        let text = self.text(place);
        text.len() == name.len()
            && text.iter().zip(name.bytes()).all(|(at, byte)| at.load(Ordering::Relaxed) == byte)
    }

    /// Returns all names, by number. Those of free places are empty.
    pub(super) fn all(&self) -> Vec<Arc<str>> {
        let name = |place: &AtomicU64| match place.load(Ordering::Acquire) {
            0 => Arc::default(),
            place => {
                let bytes: Vec<u8> =
                    self.text(place).iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
                String::from_utf8_lossy(&bytes).into()
            }
        };
        self.places.iter().map(name).collect()
    }
}
