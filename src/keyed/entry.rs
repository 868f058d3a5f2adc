//! [`Entry`].

use equivalent::Equivalent;

use super::link::Link;
use crate::breaker::CircuitBreaker;
use crate::circuit::sync::{AtomicU8, Ordering};
use crate::circuit::{Circuit, catch_panic};
use crate::machine::Tick;

/// A circuit and its key.
pub(super) struct Entry<K> {
    /// `None` only while the entry is dropped.
    key: Option<K>,
    pub(super) hash: u64,
    /// Its number in [`Kept`](super::kept::Kept).
    pub(super) number: u32,
    /// The circuit is stored next to the handle so that a call does not have to follow it.
    circuit: &'static Circuit,
    breaker: CircuitBreaker,
    marks: AtomicU8,
    /// The next entry in the same chain of the [`Table`](super::table::Table).
    pub(super) next: Link<Entry<K>>,
}

impl<K> Entry<K> {
    /// The circuit was used since the last sweep.
    pub(super) const USED: u8 = 1;
    /// The circuit was used after it was created, or since it was last looked at for eviction.
    pub(super) const USED_AGAIN: u8 = 2;
    /// The circuit was used since a sweep has last passed, whatever the circuit was doing then.
    const USED_SINCE_SWEEP: u8 = 4;
    /// The circuit was not used between two sweeps. Checks would keep it busy for ever, and so in the registry.
    const NEGLECTED: u8 = 8;

    pub(super) fn new(key: K, hash: u64, breaker: CircuitBreaker) -> Self {
        let marks = AtomicU8::new(Self::USED | Self::USED_SINCE_SWEEP);
        let (key, circuit) = (Some(key), breaker.circuit());
        Self { key, hash, number: 0, circuit, breaker, marks, next: Link::empty() }
    }

    #[inline]
    pub(super) fn has_key<Q>(&self, hash: u64, key: &Q) -> bool
    where
        Q: Equivalent<K> + ?Sized,
    {
        self.hash == hash && self.key.as_ref().is_some_and(|own| key.equivalent(own))
    }

    pub(super) fn key(&self) -> Option<&K> {
        self.key.as_ref()
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
        let marks = Self::USED | Self::USED_AGAIN | Self::USED_SINCE_SWEEP;
        if self.marks.load(Ordering::Relaxed) != marks {
            self.marks.store(marks, Ordering::Relaxed);
        }
    }

    pub(super) fn has_mark(&self, mark: u8) -> bool {
        self.marks.load(Ordering::Relaxed) & mark != 0
    }

    /// Removes a mark and returns whether it was there.
    pub(super) fn take_mark(&self, mark: u8) -> bool {
        self.marks.fetch_and(!mark, Ordering::Relaxed) & mark != 0
    }

    /// Notes that a sweep passes.
    pub(super) fn pass(&self) {
        if !self.take_mark(Self::USED_SINCE_SWEEP) {
            self.marks.fetch_or(Self::NEGLECTED, Ordering::Relaxed);
        }
    }

    /// Whether checks may probe the circuit.
    pub(super) fn needs_checks(&self) -> bool {
        !self.circuit.is_closed() && !self.has_mark(Self::NEGLECTED)
    }

    pub(super) fn may_be_evicted(&self) -> bool {
        !self.breaker.is_shared() && self.circuit.is_at_rest()
    }

    pub(super) fn is_idle(&self, now: Tick) -> bool {
        !self.breaker.is_shared() && self.circuit.is_idle(now)
    }
}

/// The last one who looks at an entry that was removed drops it, which may be a call of another key. So a key that
/// panics must not harm it.
impl<K> Drop for Entry<K> {
    fn drop(&mut self) {
        let key = self.key.take();
        catch_panic(|| drop(key));
    }
}
