//! [`Deadlines`]: when a call in flight begins to count.

use super::rules::Rules;
use super::time::{Nanos, Tick};

/// After how long a call in flight counts as failed or as slow.
///
/// Calls are not looked at one by one. Those that begin in the same step of a grid form a bucket, and have the same
/// deadlines. A call hangs at the end of the quarter of `hung_after` in which it began, plus `hung_after`. So it hangs
/// after `hung_after` at the earliest, and after 1.25 times that at the latest. (A step is rounded up to whole
/// nanoseconds.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// The length of a step.
    pub(crate) step: Nanos,
    /// If `hung_after` is set, the number of steps in a quarter of it and in all of it.
    hung: Option<(u64, u64)>,
    /// The number of steps in the time that makes a call slow, rounded up, if calls in flight count as slow.
    slow: Option<u64>,
}

/// The greatest number of buckets that are younger than their first deadline, the current one included.
pub(crate) const MOST_YOUNG: u64 = 16;

impl Deadlines {
    /// Returns `None` if calls in flight do not count.
    pub(crate) fn of(rules: &Rules) -> Option<Self> {
        let slow_after = rules.slow_call_duration.filter(|_| rules.slow_in_flight);
        Some(match (rules.hung_after, slow_after) {
            (None, None) => return None,
            (Some(hung_after), None) => {
                Self { step: hung_after.div_ceil(4), hung: Some((1, 4)), slow: None }
            }
            (None, Some(slow_after)) => {
                let step = slow_after.div_ceil(4);
                Self { step, hung: None, slow: Some(slow_after.div_ceil(step)) }
            }
            (Some(hung_after), Some(slow_after)) => Self::of_both(hung_after, slow_after),
        })
    }

    /// The steps divide a quarter of `hung_after` if that is possible with few of them in the shorter of the times.
    /// Otherwise they are so short that a call is overdue in time, too.
    fn of_both(hung_after: Nanos, slow_after: Nanos) -> Self {
        let (quarter, shorter) = (hung_after.div_ceil(4), hung_after.min(slow_after));
        let is_in_time = |step: Nanos| {
            let latest = slow_after.div_ceil(step).saturating_add(1).saturating_mul(step);
            latest <= slow_after.saturating_add(slow_after.div_ceil(4))
        };
        let steps = (4..=12).map(|parts| shorter.div_ceil(parts));
        let dividing = steps.into_iter().find(|step| quarter % step == 0 && is_in_time(*step));
        let step = dividing.unwrap_or(shorter.div_ceil(8));
        let in_quarter = if quarter % step == 0 { quarter / step } else { 1 };
        let in_all = hung_after.div_ceil(step);
        Self { step, hung: Some((in_quarter, in_all)), slow: Some(slow_after.div_ceil(step)) }
    }

    /// Returns the bucket of a call that begins this long after the grid does.
    pub(crate) fn bucket(&self, since_start: Nanos) -> u64 {
        since_start / self.step
    }

    /// Returns the first step at which the calls of a bucket have hung.
    pub(super) fn hung_at(&self, bucket: u64) -> Option<u64> {
        self.hung.map(|(quarter, all)| ((bucket / quarter + 1) * quarter).saturating_add(all))
    }

    /// Returns the first step at which the calls of a bucket are slow.
    pub(super) fn slow_at(&self, bucket: u64) -> Option<u64> {
        self.slow.map(|steps| bucket.saturating_add(1).saturating_add(steps))
    }

    /// Returns the first step at which the calls of a bucket count.
    pub(super) fn overdue_at(&self, bucket: u64) -> u64 {
        let both = [self.hung_at(bucket), self.slow_at(bucket)];
        both.into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    /// Returns the end of the quarter of `hung_after` in which this moment is.
    pub(super) fn end_of_quarter(&self, start: Tick, at: Tick) -> Tick {
        let (quarter, _) = self.hung.unwrap_or((1, 1));
        let quarters = self.bucket(at.saturating_sub(start)) / quarter + 1;
        self.time(start, quarters.saturating_mul(quarter))
    }

    /// Returns when a step begins on a grid that begins at `start`.
    pub(super) fn time(&self, start: Tick, step: u64) -> Tick {
        start.saturating_add(step.saturating_mul(self.step))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::rules;
    use super::*;

    fn deadlines(hung_after: Option<Nanos>, slow_after: Option<Nanos>) -> Deadlines {
        let slow_in_flight = slow_after.is_some();
        let slow_call_duration = slow_after;
        let rules = Rules { hung_after, slow_in_flight, slow_call_duration, ..rules() };
        Deadlines::of(&rules).unwrap()
    }

    /// Checks that what is due at `step` for calls of `bucket` is due after `after`, and 1.25 times that at the
    /// latest.
    fn check(it: Deadlines, bucket: u64, step: u64, after: Nanos) {
        let earliest = (step - bucket - 1) * it.step; // of a call at the end of the bucket
        let latest = (step - bucket) * it.step;
        let rounding = 16; // each step is rounded up to whole nanoseconds
        assert!(earliest >= after, "{it:?} after {earliest} instead of {after}");
        assert!(latest <= after + after / 4 + rounding, "{it:?} after {latest} instead of {after}");
    }

    fn duration() -> impl Strategy<Value = Nanos> {
        prop_oneof![
            1_u64..1000,
            1000_u64..1_000_000_000,
            (1_u64..100).prop_map(|ms| ms * 1_000_000)
        ]
    }

    proptest! {
        #[test]
        fn a_call_is_overdue_in_time_and_few_buckets_are_young(
            hung_after in prop::option::of(duration()),
            slow_after in duration(),
            bucket in 0_u64..1000,
        ) {
            let it = deadlines(hung_after, Some(slow_after));
            check(it, bucket, it.slow_at(bucket).unwrap(), slow_after);
            if let Some(hung_after) = hung_after {
                check(it, bucket, it.hung_at(bucket).unwrap(), hung_after);
            }
            prop_assert!(it.overdue_at(bucket) - bucket < MOST_YOUNG, "{it:?}");
        }
    }

    #[test]
    fn a_call_hangs_at_the_end_of_its_quarter_and_the_time_after_that() {
        let it = deadlines(Some(2000), None);
        assert_eq!(it.step, 500);
        assert_eq!(it.bucket(499), 0);
        assert_eq!(it.time(7, it.hung_at(0).unwrap()), 7 + 500 + 2000);
        assert_eq!(it.time(7, it.hung_at(3).unwrap()), 7 + 2000 + 2000);
    }

    #[test]
    fn the_longest_times_do_not_overflow() {
        let it = deadlines(Some(Nanos::MAX), Some(Nanos::MAX));
        assert_eq!(it.bucket(1 << 61), 0);
        let it = deadlines(Some(Nanos::MAX), Some(1));
        assert!(it.overdue_at(it.bucket(1 << 61)) > 0);
    }
}
