//! What a registry needs to know of a circuit.

use super::Circuit;
use crate::clock::Tick;
use crate::sync::Ordering;
use crate::word::Word;

impl Circuit {
    /// Written only if it is news, since all cores read it.
    #[inline]
    pub(crate) fn mark_used(&self) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn take_used(&self) -> bool {
        self.is_used.swap(false, Ordering::Relaxed)
    }

    /// Whether nothing would be lost with it but counts: it is closed, not by an operator, and no
    /// call is in flight.
    pub(crate) fn is_at_rest(&self) -> bool {
        let word = self.word_without_calls();
        word.is_some_and(|word| word.is(Word::CLOSED) && !word.is(Word::FORCED))
    }

    /// Whether it does nothing unless it is asked: it is not held by an operator, not in an open
    /// wait, and no call is in flight.
    pub(crate) fn is_idle(&self, now: Tick) -> bool {
        let waits =
            |word: Word| word.is(Word::OPEN) && now < self.front.open_until.load(Ordering::Acquire);
        self.word_without_calls().is_some_and(|word| !word.is(Word::FORCED) && !waits(word))
    }

    /// The word, unless calls are in flight. In this order, because a call ceases to be in flight
    /// after it has settled.
    fn word_without_calls(&self) -> Option<Word> {
        self.in_flight.is_none().then(|| self.word())
    }
}
