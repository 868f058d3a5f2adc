//! [`Recording`]: recorded calls.

mod names;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use self::names::Names;
use super::call::{Call, LONGEST};
use crate::circuit::clock;
use crate::machine::{NEVER, Tick, nanos};
use crate::observe::Ending;

/// What a recorder has recorded.
#[derive(Debug)]
pub(super) struct Recording {
    start: Tick,
    slots: Box<[Slot]>,
    next: AtomicUsize,
    names: Names,
    dropped: AtomicU64,
}

/// A recorded call.
#[derive(Debug, Default)]
struct Slot {
    ended: AtomicU64,
    took: AtomicU64,
    /// [`NEVER`] if the callee did not ask for anything.
    retry_after: AtomicU64,
    name: AtomicU64,
    /// How the call ended: 0 while the slot is empty. Written last.
    ending: AtomicU64,
}

const ENDINGS: [Option<Ending>; 6] = [
    None,
    Some(Ending::Success),
    Some(Ending::Failure),
    Some(Ending::SoftFailure),
    Some(Ending::Ignored),
    Some(Ending::Abandoned),
];

impl Recording {
    /// The time of the trace begins now.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            start: clock::now(),
            slots: (0..capacity).map(|_| Slot::default()).collect(),
            next: AtomicUsize::new(0),
            names: Names::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Records a call that ends now.
    pub(super) fn record(
        &self,
        name: &str,
        ending: Option<Ending>,
        took: Duration,
        retry_after: Option<Duration>,
    ) {
        let ended = clock::now();
        let slot = self.names.number(name).and_then(|name| Some((name, self.free_slot()?)));
        let Some((name, slot)) = slot else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        slot.ended.store(ended, Ordering::Relaxed);
        slot.took.store(nanos(took), Ordering::Relaxed);
        slot.retry_after
            .store(retry_after.map_or(NEVER, |wait| nanos(wait.min(LONGEST))), Ordering::Relaxed);
        slot.name.store(name, Ordering::Relaxed);
        let index = ENDINGS.iter().position(|it| *it == ending).unwrap_or(0);
        slot.ending.store(index as u64 + 1, Ordering::Release);
    }

    fn free_slot(&self) -> Option<&Slot> {
        // Checked first, so that the number cannot grow for ever.
        if self.next.load(Ordering::Relaxed) >= self.slots.len() {
            return None;
        }
        self.slots.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns what has been recorded, in the order in which the calls ended.
    pub(super) fn calls(&self) -> Vec<Call> {
        let names: Vec<Arc<str>> = self.names.all();
        let recorded = self.slots.iter().take(self.next.load(Ordering::Relaxed));
        recorded.filter_map(|slot| self.call(slot, &names)).collect()
    }

    fn call(&self, slot: &Slot, names: &[Arc<str>]) -> Option<Call> {
        let ending = *ENDINGS.get(slot.ending.load(Ordering::Acquire).checked_sub(1)? as usize)?;
        let [ended, took, retry_after, name] =
            [&slot.ended, &slot.took, &slot.retry_after, &slot.name]
                .map(|it| it.load(Ordering::Relaxed));
        // A call that began before the recorder is taken to have begun with it.
        let at = ended.saturating_sub(took).saturating_sub(self.start);
        Some(Call {
            at: Duration::from_nanos(at),
            key: names.get(name as usize)?.clone(),
            ending,
            duration: Duration::from_nanos(took),
            retry_after: (retry_after != NEVER).then(|| Duration::from_nanos(retry_after)),
        })
    }
}
