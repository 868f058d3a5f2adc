//! [`Kept`]: the circuits that a registry keeps, and the choice of those that it evicts.
//!
//! Every operation looks at a limited number of circuits, so that the lock around them is never held for
//! long. No method of a key runs here. The registry compares, hashes, clones and drops keys elsewhere.

mod ghosts;
mod queues;

use self::ghosts::Ghosts;
use self::queues::Queue::{Newcomers, Regulars};
use self::queues::Queues;
use super::entry::Entry;
use super::link::Arc;
use super::table::Table;
use crate::machine::{Nanos, Tick};

/// How many circuits an operation looks at, at most. A model has only a few.
const STEP: usize = if cfg!(tower_breaker_loom) { 2 } else { 64 };

/// Memory is reserved for up to this many circuits. Growing later would move everything while the lock is held.
const MOST_RESERVED: usize = 1 << 20;

/// The circuits of a registry.
///
/// If there is no capacity left, circuits are evicted as in the [S3-FIFO](https://s3fifo.com) cache. The newest
/// tenth of the circuits is in a queue of its own, from which most are evicted. So a flood of keys that are
/// used once does not evict the circuits that are used often. A key that comes back soon after it was evicted
/// does not start in that queue again, so that the registry follows when the keys in use change.
pub(super) struct Kept<K> {
    capacity: usize,
    /// An entry keeps its number for as long as it is kept. Each of them is in the [`Table`].
    entries: Vec<Option<Arc<Entry<K>>>>,
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

impl<K> Kept<K> {
    pub(super) fn new(capacity: usize, idle_timeout: Nanos, now: Tick) -> Self {
        let reserved = capacity.min(MOST_RESERVED);
        let due = now.saturating_add(idle_timeout);
        Self {
            capacity,
            entries: Vec::with_capacity(reserved),
            vacant: Vec::new(),
            queues: Queues::with_capacity(reserved),
            ghosts: Ghosts::new(reserved),
            sweep: Sweep { idle_timeout, due, at: 0 },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }

    /// Returns up to [`STEP`] entries, beginning with this number. Numbers without an entry are `None`. Returns
    /// an empty slice if there are no more numbers.
    pub(super) fn places(&self, from: usize) -> &[Option<Arc<Entry<K>>>] {
        let end = self.entries.len().min(from + STEP);
        self.entries.get(from..end).unwrap_or_default()
    }

    /// Adds the entry of a key that has none. If there is no capacity, evicts another entry, or gives the
    /// new one back if none can be evicted.
    pub(super) fn insert(
        &mut self,
        table: &Table<K>,
        mut entry: Entry<K>,
        removed: &mut Vec<Arc<Entry<K>>>,
    ) -> Result<(), Entry<K>> {
        if self.len() >= self.capacity {
            match self.evict(table) {
                Some(evicted) => removed.push(evicted),
                None => return Err(entry),
            }
        } else if self.has_enough_newcomers() {
            if let Some(oldest) = self.queues.first(Newcomers) {
                self.queues.move_to(Regulars, oldest);
            }
        }
        let queue = if self.ghosts.take(entry.hash) { Regulars } else { Newcomers };
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() as u32 - 1
        });
        entry.number = number;
        let entry = Arc::new(entry);
        table.add(&entry);
        self.entries[number as usize] = Some(entry);
        self.queues.push(queue, number);
        Ok(())
    }

    /// Removes an entry, whatever its circuit is doing.
    pub(super) fn remove(&mut self, table: &Table<K>, entry: &Arc<Entry<K>>) {
        table.remove(entry);
        self.vacate(entry.number);
    }

    /// Removes an entry if this can be done: if `is_free` says so, and no thread is looking at the entry.
    fn remove_if(
        &mut self,
        table: &Table<K>,
        number: u32,
        is_free: impl Fn(&Entry<K>) -> bool,
    ) -> Option<Arc<Entry<K>>> {
        let entry = self.entries[number as usize].as_mut()?;
        if !is_free(entry) {
            return None;
        }
        // Now for good: no other thread can begin to use the entry. See the module `table`.
        table.remove(entry);
        if Arc::get_mut(entry).is_some_and(|entry| is_free(entry)) {
            self.vacate(number)
        } else {
            table.add(entry);
            None
        }
    }

    fn vacate(&mut self, number: u32) -> Option<Arc<Entry<K>>> {
        let entry = self.entries[number as usize].take()?;
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
    fn evict(&mut self, table: &Table<K>) -> Option<Arc<Entry<K>>> {
        let mut used_again = None;
        for look in 0..STEP {
            // If there is no entry to evict in one queue, there may be one in the other.
            let is_first_half = look < STEP / 2;
            let newcomers_first = self.has_enough_newcomers() == is_first_half;
            let turns = if newcomers_first { [Newcomers, Regulars] } else { [Regulars, Newcomers] };
            let number = turns.into_iter().find_map(|queue| self.queues.first(queue))?;
            let entry = self.entries[number as usize].as_ref()?;
            if entry.may_be_evicted() {
                if entry.take_mark(Entry::<K>::USED_AGAIN) {
                    used_again.get_or_insert(number);
                } else if let Some(evicted) = self.evict_number(table, number) {
                    return Some(evicted);
                }
            }
            self.queues.move_to(Regulars, number);
        }
        self.evict_number(table, used_again?)
    }

    fn evict_number(&mut self, table: &Table<K>, number: u32) -> Option<Arc<Entry<K>>> {
        let queue = self.queues.queue(number);
        let entry = self.remove_if(table, number, Entry::may_be_evicted)?;
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
    pub(super) fn sweep(
        &mut self,
        table: &Table<K>,
        now: Tick,
        removed: &mut Vec<Arc<Entry<K>>>,
    ) -> bool {
        if !self.is_sweep_due(now) {
            return false;
        }
        let from = self.sweep.at;
        let end = self.entries.len().min(from + STEP);
        for number in from..end {
            let Some(entry) = &self.entries[number] else { continue };
            entry.pass();
            // A circuit that is in use keeps its mark, so its idle time begins afterwards.
            if entry.is_idle(now) && !entry.take_mark(Entry::<K>::USED) {
                let is_free =
                    |entry: &Entry<K>| entry.is_idle(now) && !entry.has_mark(Entry::<K>::USED);
                removed.extend(self.remove_if(table, number as u32, is_free));
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
