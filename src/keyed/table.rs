//! [`Table`]: finds the entry of a key without a lock.
//!
//! # The protocol
//!
//! The table is an array of chains of entries. Whoever looks for a key follows a chain. This neither waits for anyone
//! nor writes to memory that other threads use, so it is as fast on many cores as on one. The chains are changed by
//! one thread at a time, which holds the lock of [`Kept`](super::kept::Kept).
//!
//! A call is admitted, and counted as in flight, while its thread looks at the entry. To remove an entry that must
//! not have calls in flight, the lock's holder *takes it out* of its chain first. [`Arc::get_mut`] then says whether
//! any thread is still looking at the entry. If none is, none will ever again, and everything that threads did
//! while they were looking is visible. So the calls in flight that are counted then are all of them. Otherwise the
//! entry is put back.
//!
//! A thread may therefore fail to find an entry that is taken out only for a moment. It is found with the lock held,
//! so whoever has found nothing looks again with the lock before a circuit is created.

use equivalent::Equivalent;

use super::entry::Entry;
use super::link::{Arc, Link};

/// The table has as many chains as the registry has capacity for circuits, but not more than this. It never grows,
/// because that would take long. With more circuits, the chains become longer than one.
const MOST_CHAINS: usize = 1 << 20;

pub(super) struct Table<K> {
    /// The first entries of the chains. The number of chains is a power of two.
    chains: Box<[Link<Entry<K>>]>,
}

impl<K> Table<K> {
    pub(super) fn new(capacity: usize) -> Self {
        let chains = capacity.min(MOST_CHAINS).next_power_of_two();
        Self { chains: (0..chains).map(|_| Link::empty()).collect() }
    }

    #[inline]
    fn chain(&self, hash: u64) -> &Link<Entry<K>> {
        &self.chains[hash as usize & (self.chains.len() - 1)]
    }

    /// Returns the entry of a key. The entry is looked at for as long as the result lives.
    #[inline(always)]
    pub(super) fn find<Q>(
        &self,
        hash: u64,
        key: &Q,
    ) -> impl std::ops::Deref<Target = Option<Arc<Entry<K>>>> + use<'_, Q, K>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let mut link = self.chain(hash).load();
        loop {
            let next = match link.as_deref() {
                Some(entry) if !entry.has_key(hash, key) => entry.next.load(),
                _ => return link,
            };
            link = next;
        }
    }

    /// Adds an entry. Called with the lock held.
    pub(super) fn add(&self, entry: &Arc<Entry<K>>) {
        let chain = self.chain(entry.hash);
        entry.next.store(chain.load_full());
        chain.store(Some(entry.clone()));
    }

    /// Removes an entry that is in the table. Called with the lock held.
    pub(super) fn remove(&self, entry: &Arc<Entry<K>>) {
        let next = entry.next.swap(None);
        replace(self.chain(entry.hash), entry, next);
    }
}

/// Replaces the link to an entry that is in this chain.
fn replace<K>(link: &Link<Entry<K>>, entry: &Arc<Entry<K>>, with: Option<Arc<Entry<K>>>) {
    match link.load_full() {
        Some(first) if !Arc::ptr_eq(&first, entry) => replace(&first.next, entry, with),
        _ => link.store(with),
    }
}
