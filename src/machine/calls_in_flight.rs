//! [`CallsInFlight`]: the calls of the closed period that have not ended, by age.

use std::collections::VecDeque;

use super::deadlines::Deadlines;
use super::time::Tick;

/// The calls of the present closed period that have not ended.
///
/// Nothing of this is ever recorded in the window. Where the rules are judged, the calls that are overdue are added to
/// what was recorded. A call that ends leaves, and is recorded as what it was. So nothing can be counted twice.
#[derive(Debug, Clone)]
pub(super) struct CallsInFlight {
    pub(super) deadlines: Deadlines,
    /// When the grid of the [`Deadlines`] begins. Calls that began earlier are not here.
    pub(super) start: Tick,
    /// The current step of the grid.
    pub(super) step: u64,
    /// The step whose bucket the circuit counts in without the lock, if there is one.
    pub(super) begun: Option<u64>,
    /// The buckets whose calls are not overdue, oldest first.
    pub(super) young: VecDeque<Young>,
    /// The buckets of which calls are overdue, oldest first.
    pub(super) overdue: VecDeque<Overdue>,
    /// The overdue calls that have no weight any more.
    pub(super) spent: u64,
    /// How many results have been recorded, and how many had been when the window began.
    pub(super) recorded: u64,
    pub(super) window_began: u64,
    pub(super) last_success: Option<Tick>,
}

#[derive(Debug, Clone)]
pub(super) struct Young {
    pub(super) bucket: u64,
    /// The calls that have begun with the lock held, less those that have ended with it.
    pub(super) calls: i64,
    /// The same without the lock, as far as that has been looked at.
    pub(super) unlocked: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Overdue {
    pub(super) bucket: u64,
    pub(super) calls: u64,
    /// How many results had been recorded when the calls were found to be slow and to have hung.
    pub(super) slow: Option<u64>,
    pub(super) hung: Option<u64>,
}

impl CallsInFlight {
    pub(super) fn new(deadlines: Deadlines, start: Tick) -> Self {
        Self {
            deadlines,
            start,
            step: 0,
            begun: None,
            young: VecDeque::new(),
            overdue: VecDeque::new(),
            spent: 0,
            recorded: 0,
            window_began: 0,
            last_success: None,
        }
    }

    /// Forgets all calls.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.overdue.clear();
        (self.begun, self.spent, self.last_success) = (None, 0, None);
    }

    pub(super) fn note_results(&mut self, n: u64) {
        self.recorded += n;
    }

    /// A window has begun, which does not hold what was before it.
    pub(super) fn note_new_window(&mut self) {
        self.recorded += 1;
        self.window_began = self.recorded;
    }

    pub(super) fn note_success(&mut self, at: Tick) {
        self.last_success = self.last_success.max(Some(at));
    }

    pub(super) fn bucket(&self, began: Tick) -> u64 {
        self.deadlines.bucket(began.saturating_sub(self.start))
    }

    pub(super) fn young(&mut self, bucket: u64) -> &mut Young {
        let index = self.young.partition_point(|young| young.bucket < bucket);
        if self.young.get(index).is_none_or(|young| young.bucket != bucket) {
            self.young.insert(index, Young { bucket, calls: 0, unlocked: 0 });
        }
        &mut self.young[index]
    }

    /// A call begins.
    pub(super) fn begin(&mut self, began: Tick) {
        let bucket = self.bucket(began);
        self.young(bucket).calls += 1;
    }

    pub(super) fn end(&mut self, began: Tick) {
        let bucket = self.bucket(began);
        // A call that is not of this grid, or was admitted before calls were timed.
        if began < self.start || bucket > self.step {
            return;
        }
        if self.deadlines.overdue_at(bucket) > self.step {
            self.young(bucket).calls -= 1;
        } else if let Ok(index) = self.overdue.binary_search_by_key(&bucket, |it| it.bucket) {
            self.overdue[index].calls -= 1;
            if self.overdue[index].calls == 0 {
                self.overdue.remove(index);
            }
        } else {
            self.spent = self.spent.saturating_sub(1);
        }
    }

    fn add_overdue(&mut self, bucket: u64, calls: u64) {
        // A thread may have begun its call long after it read the clock, so this need not be the newest bucket.
        let index = self.overdue.partition_point(|it| it.bucket < bucket);
        match self.overdue.get_mut(index) {
            Some(it) if it.bucket == bucket => it.calls += calls,
            _ => self.overdue.insert(index, Overdue { bucket, calls, slow: None, hung: None }),
        }
    }

    /// Moves on to `now`. `unlocked` returns how many calls of a bucket are in flight that were counted without the
    /// lock, and counts no further in this bucket.
    pub(super) fn advance(&mut self, now: Tick, mut unlocked: impl FnMut(u64) -> i64) {
        self.step = self.step.max(self.bucket(now));
        while let Some(young) = self.young.front() {
            if self.deadlines.overdue_at(young.bucket) > self.step {
                break;
            }
            let Young { bucket, calls, .. } = *young;
            self.young.pop_front();
            if let calls @ 1.. = calls + unlocked(bucket) {
                self.add_overdue(bucket, calls.unsigned_abs());
            }
        }
        let (step, deadlines, recorded) = (self.step, self.deadlines, self.recorded);
        let is_past = |at: Option<u64>| at.is_some_and(|at| at <= step);
        for it in &mut self.overdue {
            if is_past(deadlines.slow_at(it.bucket)) {
                it.slow.get_or_insert(recorded);
            }
            if is_past(deadlines.hung_at(it.bucket)) {
                it.hung.get_or_insert(recorded);
            }
        }
    }
}
