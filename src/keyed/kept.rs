//! [`Kept`]: the circuits that a registry keeps, and the choice of those that it evicts.
//!
//! Every operation looks at a limited number of circuits, so that the lock around them is never held for
//! long. The only method of a key that runs here is `Eq`. The registry hashes and drops keys without the lock.

mod ghosts;
mod queues;

use hashbrown::{Equivalent, HashTable};

use self::ghosts::Ghosts;
use self::queues::Queue::{Newcomers, Regulars};
use self::queues::Queues;
use crate::breaker::CircuitBreaker;
use crate::circuit::Circuit;
use crate::circuit::sync::{AtomicU8, Ordering};
use crate::machine::{Nanos, Tick};

/// How many circuits an operation looks at, at most.
const STEP: usize = 64;

/// Memory for the table and the entries is reserved for up to this many circuits. Growing either of them
/// later would move everything in it while the lock is held.
const MOST_RESERVED: usize = 1 << 20;

/// The circuits of a registry.
///
/// If there is no capacity left, circuits are evicted as in the [S3-FIFO](https://s3fifo.com) cache. The newest
/// tenth of the circuits is in a queue of its own, from which most are evicted. So a flood of keys that are
/// used once does not evict the circuits that are used often. A key that comes back soon after it was evicted
/// does not start in that queue again, so that the registry follows when the keys in use change.
pub(super) struct Kept<K> {
    capacity: usize,
    /// Finds the number of an entry by the hash of its key.
    numbers: HashTable<u32>,
    /// An entry keeps its number for as long as it is kept.
    entries: Vec<Option<Entry<K>>>,
    /// The numbers that no entry has.
    vacant: Vec<u32>,
    /// In which order the entries are evicted. About a tenth are newcomers.
    queues: Queues,
    /// The keys of newcomers that were evicted.
    ghosts: Ghosts,
    sweep: Sweep,
}

/// A sweep looks at all entries, in steps.
struct Sweep {
    idle_timeout: Nanos,
    /// When the next sweep may begin.
    due: Tick,
    /// The number of the entry at which the sweep goes on, or 0 if none is under way.
    at: usize,
}

/// A circuit and its key.
pub(super) struct Entry<K> {
    key: K,
    hash: u64,
    /// The circuit is stored next to the handle so that a call does not have to follow it.
    circuit: &'static Circuit,
    breaker: CircuitBreaker,
    marks: AtomicU8,
}

impl<K> Entry<K> {
    /// The circuit was used since the last sweep.
    const USED: u8 = 1;
    /// The circuit was used after it was created, or since it was last looked at for eviction.
    const USED_AGAIN: u8 = 2;

    pub(super) fn new(key: K, hash: u64, breaker: CircuitBreaker) -> Self {
        let marks = AtomicU8::new(Self::USED);
        let circuit = breaker.circuit();
        Self { key, hash, circuit, breaker, marks }
    }

    pub(super) fn key(&self) -> &K {
        &self.key
    }

    #[inline]
    pub(super) fn circuit(&self) -> &'static Circuit {
        self.circuit
    }

    pub(super) fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// Notes that the circuit was used. This writes only what is not noted already, because all cores read
    /// the entry.
    #[inline]
    pub(super) fn mark_used(&self) {
        let marks = Self::USED | Self::USED_AGAIN;
        if self.marks.load(Ordering::Relaxed) != marks {
            self.marks.store(marks, Ordering::Relaxed);
        }
    }

    /// Removes a mark and returns whether it was there. No other thread may use the entry at the same time.
    fn take_mark(&mut self, mark: u8) -> bool {
        let marks = self.marks.load(Ordering::Relaxed);
        self.marks.store(marks & !mark, Ordering::Relaxed);
        marks & mark != 0
    }

    fn may_be_evicted(&self) -> bool {
        !self.breaker.is_shared() && self.circuit.is_at_rest()
    }

    fn is_idle(&self, now: Tick) -> bool {
        !self.breaker.is_shared() && self.circuit.is_idle(now)
    }
}

impl<K> Kept<K> {
    pub(super) fn new(capacity: usize, idle_timeout: Nanos, now: Tick) -> Self {
        let reserved = capacity.min(MOST_RESERVED);
        let due = now.saturating_add(idle_timeout);
        Self {
            capacity,
            // Twice the capacity, because removals leave marks in a table that is more than half full. Clearing
            // many marks takes as long as growing the table.
            numbers: HashTable::with_capacity(2 * reserved),
            entries: Vec::with_capacity(reserved),
            vacant: Vec::new(),
            queues: Queues::with_capacity(reserved),
            ghosts: Ghosts::new(reserved),
            sweep: Sweep { idle_timeout, due, at: 0 },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Returns the entry of a key.
    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Entry<K>>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let mut found = None;
        self.numbers.find(hash, |number| {
            found = self.entry(*number).filter(|entry| key.equivalent(&entry.key));
            found.is_some()
        })?;
        found
    }

    #[inline]
    fn entry(&self, number: u32) -> Option<&Entry<K>> {
        self.entries.get(number as usize)?.as_ref()
    }

    /// Returns up to [`STEP`] entries, beginning with this number. Numbers without an entry are `None`. Returns
    /// an empty slice if there are no more numbers.
    pub(super) fn places(&self, from: usize) -> &[Option<Entry<K>>] {
        let end = self.entries.len().min(from + STEP);
        self.entries.get(from..end).unwrap_or_default()
    }

    /// Adds the entry of a key that has none. If there is no capacity, evicts another entry, or gives the
    /// new one back if none can be evicted.
    pub(super) fn insert(
        &mut self,
        entry: Entry<K>,
        removed: &mut Vec<Entry<K>>,
    ) -> Result<(), Entry<K>> {
        if self.len() >= self.capacity {
            match self.evict() {
                Some(evicted) => removed.push(evicted),
                None => return Err(entry),
            }
        } else if self.has_enough_newcomers() {
            if let Some(oldest) = self.queues.first(Newcomers) {
                self.queues.move_to(Regulars, oldest);
            }
        }
        let hash = entry.hash;
        let queue = if self.ghosts.take(hash) { Regulars } else { Newcomers };
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() as u32 - 1
        });
        self.entries[number as usize] = Some(entry);
        let entries = &self.entries;
        self.numbers.insert_unique(hash, number, |number| {
            entries[*number as usize].as_ref().map_or(0, |entry| entry.hash)
        });
        self.queues.push(queue, number);
        Ok(())
    }

    /// Removes the entry of a key.
    pub(super) fn remove<Q>(&mut self, hash: u64, key: &Q) -> Option<Entry<K>>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let is_key = |number: &u32| self.entry(*number).is_some_and(|it| key.equivalent(&it.key));
        let number = *self.numbers.find(hash, is_key)?;
        self.remove_number(number)
    }

    fn remove_number(&mut self, number: u32) -> Option<Entry<K>> {
        let entry = self.entries[number as usize].take()?;
        if let Ok(found) = self.numbers.find_entry(entry.hash, |it| *it == number) {
            found.remove();
        }
        self.queues.remove(number);
        self.vacant.push(number);
        Some(entry)
    }

    fn has_enough_newcomers(&self) -> bool {
        self.queues.len(Newcomers) >= self.capacity / 10
    }

    /// Evicts an entry that is at rest, if there is one among the next [`STEP`].
    ///
    /// An entry that is busy or was used again becomes the last of the regulars. If all entries at rest were
    /// used again, the first of them is evicted nevertheless.
    fn evict(&mut self) -> Option<Entry<K>> {
        let mut used_again = None;
        for look in 0..STEP {
            // If there is no entry to evict in one queue, there may be one in the other.
            let is_first_half = look < STEP / 2;
            let newcomers_first = self.has_enough_newcomers() == is_first_half;
            let turns = if newcomers_first { [Newcomers, Regulars] } else { [Regulars, Newcomers] };
            let number = turns.into_iter().find_map(|queue| self.queues.first(queue))?;
            let entry = self.entries[number as usize].as_mut()?;
            if entry.may_be_evicted() {
                if !entry.take_mark(Entry::<K>::USED_AGAIN) {
                    return self.evict_number(number);
                }
                used_again.get_or_insert(number);
            }
            self.queues.move_to(Regulars, number);
        }
        self.evict_number(used_again?)
    }

    fn evict_number(&mut self, number: u32) -> Option<Entry<K>> {
        let queue = self.queues.queue(number);
        let entry = self.remove_number(number)?;
        if queue == Newcomers {
            self.ghosts.add(entry.hash);
        }
        Some(entry)
    }

    pub(super) fn is_sweep_due(&self, now: Tick) -> bool {
        self.sweep.at > 0 || now >= self.sweep.due
    }

    /// Takes a step of a sweep, or begins a new one if that is due. Returns whether there is more to do.
    ///
    /// An entry is removed if it has not been used since the last sweep looked at it. The next sweep is due
    /// `idle_timeout` after the end of this one. So at least that much time passes between two looks at the
    /// same entry, however slowly a sweep goes on.
    pub(super) fn sweep(&mut self, now: Tick, removed: &mut Vec<Entry<K>>) -> bool {
        if !self.is_sweep_due(now) {
            return false;
        }
        let from = self.sweep.at;
        let end = self.entries.len().min(from + STEP);
        for number in from..end {
            let Some(entry) = &mut self.entries[number] else { continue };
            // A circuit that is in use keeps its mark, so its idle time begins afterwards.
            if entry.is_idle(now) && !entry.take_mark(Entry::<K>::USED) {
                removed.extend(self.remove_number(number as u32));
            }
        }
        let is_finished = end == self.entries.len();
        if is_finished {
            self.sweep.due = now.saturating_add(self.sweep.idle_timeout);
        }
        self.sweep.at = if is_finished { 0 } else { end };
        !is_finished
    }
}
