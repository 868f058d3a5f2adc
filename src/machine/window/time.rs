//! A window of the calls that completed in a length of time, in buckets on a fixed grid.

use std::collections::VecDeque;

use super::super::time::{Nanos, Tick};
use super::{Counts, MOST_PACKED, Results, Successes};

/// Memory for up to this many buckets is allocated at first. A window with more buckets grows as they fill.
const BUCKETS_AT_FIRST: u32 = 10;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TimeWindow {
    /// When step 0 of the grid begins.
    origin: Tick,
    /// The length of a step.
    width: Nanos,
    /// The number of steps that the window spans.
    span: u64,
    /// The current step.
    step: u64,
    /// When the current step ends.
    step_end: Tick,
    /// The steps in which calls completed, oldest first. A step without calls has no bucket.
    buckets: VecDeque<Bucket>,
    total: Counts,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Bucket {
    step: u64,
    counts: Counts,
}

impl TimeWindow {
    pub(super) fn new(length: Nanos, buckets: u32, origin: Tick) -> Self {
        let width = length.div_ceil(buckets.into());
        Self {
            origin,
            width,
            span: buckets.into(),
            step: 0,
            step_end: origin.saturating_add(width),
            buckets: VecDeque::with_capacity(buckets.min(BUCKETS_AT_FIRST) as usize),
            total: Counts::default(),
        }
    }

    pub(super) fn advance(&mut self, now: Tick) {
        if now < self.step_end {
            return;
        }
        self.go_to(self.step_at(now));
        while let Some(bucket) = self.buckets.front() {
            if self.step - bucket.step < self.span {
                break;
            }
            self.total.subtract(bucket.counts);
            self.buckets.pop_front();
        }
    }

    fn go_to(&mut self, step: u64) {
        self.step = step;
        let steps = step.saturating_add(1).saturating_mul(self.width);
        self.step_end = self.origin.saturating_add(steps);
    }

    pub(super) fn record(&mut self, failed: bool, slow: bool) {
        self.current().record(failed, slow);
        self.total.record(failed, slow);
    }

    pub(super) fn record_successes(&mut self, n: u64) {
        self.add(Counts { calls: n, ..Counts::default() });
    }

    pub(super) fn record_results(&mut self, results: Results) {
        let (calls, failures) = (results.len().into(), results.failures().into());
        self.add(Counts { calls, failures, slow: 0 });
    }

    fn add(&mut self, counts: Counts) {
        if counts.calls > 0 {
            self.current().add(counts);
            self.total.add(counts);
        }
    }

    pub(super) fn clear(&mut self) {
        self.buckets.clear();
        self.total = Counts::default();
    }

    pub(super) fn counts(&self) -> Counts {
        self.total
    }

    pub(super) fn counts_at(&self, now: Tick) -> Counts {
        let mut counts = self.total;
        if now < self.step_end {
            return counts;
        }
        let step = self.step_at(now);
        let past = |bucket: &&Bucket| step - bucket.step >= self.span;
        for bucket in self.buckets.iter().take_while(past) {
            counts.subtract(bucket.counts);
        }
        counts
    }

    pub(super) fn pack(&self, origin: Tick, now: Tick) -> Option<Successes> {
        let Counts { failures: 0, slow: 0, .. } = self.total else { return None };
        let is_at = self.origin == origin && self.step == self.step_at(now);
        if !is_at || self.span > MOST_PACKED as u64 {
            return None;
        }
        let mut newest = [0; MOST_PACKED];
        for Bucket { step, counts } in &self.buckets {
            newest[(self.step - step) as usize] = counts.calls.try_into().ok()?;
        }
        Some(Successes { newest })
    }

    /// Fills a new window.
    pub(super) fn unpack(&mut self, Successes { newest }: &Successes, now: Tick) {
        let step = self.step_at(now);
        for (age, successes) in newest.iter().enumerate().rev().filter(|(_, n)| **n > 0) {
            self.go_to(step - age as u64);
            self.record_successes((*successes).into());
        }
        self.go_to(step);
    }

    #[cfg(test)]
    pub(super) fn as_seen_at(&self, now: Tick) -> Self {
        let mut window = self.clone();
        window.advance(now);
        let past = window.step.saturating_sub(window.span);
        window.buckets.iter_mut().for_each(|bucket| bucket.step -= past);
        window.step -= past;
        window.step_end -= now;
        window.origin = 0;
        window
    }

    pub(super) fn holds(&self, completed: Tick, now: Tick) -> bool {
        let step = self.step_at(now).max(self.step);
        completed >= self.origin && step - self.step_at(completed).min(step) < self.span
    }

    pub(super) fn step_end(&self) -> Tick {
        self.step_end
    }

    fn step_at(&self, now: Tick) -> u64 {
        now.saturating_sub(self.origin) / self.width
    }

    fn current(&mut self) -> &mut Counts {
        if self.buckets.back().is_none_or(|bucket| bucket.step < self.step) {
            self.buckets.push_back(Bucket { step: self.step, counts: Counts::default() });
        }
        let newest = self.buckets.back_mut().expect("one was pushed if there was none");
        &mut newest.counts
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::time::NEVER;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_counts_the_current_step_and_those_before_it(
            length in 1_u64..500,
            buckets in 1_u32..30,
            calls in prop::collection::vec((0_u64..120, any::<bool>(), any::<bool>()), 0..200),
        ) {
            let origin = 1000;
            let width = length.div_ceil(u64::from(buckets));
            let mut window = TimeWindow::new(length, buckets, origin);
            let (mut now, mut all) = (origin, Vec::new());
            for (pause, failed, slow) in calls {
                now += pause;
                let step = (now - origin) / width;
                let held = |all: &[(u64, bool, bool)]| {
                    let mut counts = Counts::default();
                    for &(at, failed, slow) in all {
                        if at <= step && step - at < u64::from(buckets) {
                            counts.record(failed, slow);
                        }
                    }
                    counts
                };
                prop_assert_eq!(window.counts_at(now), held(&all));
                window.advance(now);
                window.record(failed, slow);
                all.push((step, failed, slow));
                prop_assert_eq!(window.counts(), held(&all));
                prop_assert!(now < window.step_end());
                prop_assert!(window.buckets.len() <= buckets as usize);
            }
        }
    }

    #[test]
    fn no_success_takes_no_bucket() {
        let mut window = TimeWindow::new(30, 3, 0);
        window.record_successes(0);
        assert!(window.buckets.is_empty());
    }

    #[test]
    fn the_longest_window_and_the_latest_time_do_not_overflow() {
        for buckets in [1, 10, u32::MAX] {
            let mut window = TimeWindow::new(NEVER, buckets, 5);
            for now in [6, 1 << 63, NEVER - 1, NEVER] {
                window.advance(now);
                window.record(true, true);
            }
            assert!(window.counts().calls >= 1);
        }
        let mut finest = TimeWindow::new(1, u32::MAX, 0);
        finest.advance(NEVER);
        finest.record(false, false);
        assert_eq!(finest.counts_at(NEVER).calls, 1);
    }
}
