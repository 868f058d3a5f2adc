//! Sliding windows: what the rates are judged by. They are told the time and never ask for it.

mod count;
mod time;

use std::time::Duration;

use self::count::CountWindow;
use self::time::TimeWindow;
use super::counts::Counts;
use super::results::Results;
use super::time::{NEVER, Tick, nanos};

/// Which calls the failure rate and the slow-call rate are taken over.
///
/// # Default
/// [`SlidingWindow::time`] of 30 s.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::{CircuitBreaker, SlidingWindow};
///
/// let last_hundred = SlidingWindow::count(100);
/// let last_minute_by_the_second = SlidingWindow::time(Duration::from_secs(60)).buckets(60);
///
/// let breaker = CircuitBreaker::builder("payments")
///     .failure_rate_threshold(0.5)
///     .sliding_window(last_minute_by_the_second)
///     .build()?;
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingWindow {
    pub(crate) extent: Extent,
    pub(crate) buckets: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Calls(u32),
    Time(Duration),
}

impl SlidingWindow {
    /// Exactly the last `calls` completed calls (at least 1).
    ///
    /// Two bits are kept per call, in memory that is taken as calls arrive: 32 bytes for 100 calls,
    /// 250 KB for a million.
    #[must_use]
    pub const fn count(calls: u32) -> Self {
        Self { extent: Extent::Calls(calls), buckets: None }
    }

    /// The calls completed in the last `length` (longer than zero), in 10 buckets.
    ///
    /// The buckets lie on a fixed grid that starts when the breaker is built, in steps of
    /// `length / buckets`, rounded up to whole nanoseconds. The window holds the current step and
    /// the `buckets - 1` before it; so a call counts for at most `length` (rounded up to whole
    /// steps), and for one step less at least. Memory does not grow with the number of calls.
    #[must_use]
    pub const fn time(length: Duration) -> Self {
        Self { extent: Extent::Time(length), buckets: None }
    }

    /// Divides a time window into `n` buckets (at least 1) instead of 10: more buckets slide more
    /// smoothly and take more memory, 32 bytes each.
    ///
    /// Only a time window has buckets; on a count window,
    /// [`build`](crate::CircuitBreakerBuilder::build) returns an error.
    #[must_use]
    pub const fn buckets(self, n: u32) -> Self {
        Self { buckets: Some(n), ..self }
    }

    /// How many calls must be counted before a rate is judged: a count window cannot hold more than
    /// its size.
    pub(crate) fn minimum_calls(&self, minimum: u32) -> u64 {
        match self.extent {
            Extent::Calls(size) => minimum.min(size).into(),
            Extent::Time(_) => minimum.into(),
        }
    }

    /// An empty window whose grid starts at `now`.
    pub(crate) fn open(&self, now: Tick) -> Window {
        match self.extent {
            Extent::Calls(size) => Window::Count(CountWindow::new(size)),
            Extent::Time(length) => {
                let buckets = self.buckets.unwrap_or(10);
                Window::Time(TimeWindow::new(nanos(length), buckets, now))
            }
        }
    }
}

impl Default for SlidingWindow {
    fn default() -> Self {
        Self::time(Duration::from_secs(30))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Window {
    Count(CountWindow),
    Time(TimeWindow),
}

impl Window {
    /// Lets what is too old at `now` drop out.
    pub(crate) fn advance(&mut self, now: Tick) {
        match self {
            Self::Count(_) => {}
            Self::Time(window) => window.advance(now),
        }
    }

    /// Records a call that completed at the time of the last [`advance`](Self::advance).
    pub(crate) fn record(&mut self, failed: bool, slow: bool) {
        match self {
            Self::Count(window) => window.record(failed, slow),
            Self::Time(window) => window.record(failed, slow),
        }
    }

    /// Records `n` successes, none of them slow, that completed at the time of the last
    /// [`advance`](Self::advance).
    pub(crate) fn record_successes(&mut self, n: u64) {
        match self {
            Self::Count(window) => window.record_successes(n),
            Self::Time(window) => window.record_successes(n),
        }
    }

    /// Records results, likewise.
    pub(crate) fn record_results(&mut self, results: Results) {
        match self {
            Self::Count(window) => window.record_results(results),
            Self::Time(window) => window.record_results(results),
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Count(window) => window.clear(),
            Self::Time(window) => window.clear(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        match self {
            Self::Count(window) => window.counts(),
            Self::Time(window) => window.counts(),
        }
    }

    /// The counts as they are at `now`, which may be later than the last
    /// [`advance`](Self::advance).
    pub(crate) fn counts_at(&self, now: Tick) -> Counts {
        match self {
            Self::Count(window) => window.counts(),
            Self::Time(window) => window.counts_at(now),
        }
    }

    /// The same window on a grid that is as far from its beginning as it matters: windows that will
    /// behave the same are equal then.
    #[cfg(test)]
    pub(crate) fn as_seen_at(&self, now: Tick) -> Self {
        match self {
            Self::Count(window) => Self::Count(window.clone()),
            Self::Time(window) => Self::Time(window.as_seen_at(now)),
        }
    }

    /// Whether a further success that is not slow leaves it as it is.
    pub(crate) fn is_full_of_successes(&self) -> bool {
        match self {
            Self::Count(window) => window.is_full_of_successes(),
            Self::Time(_) => false,
        }
    }

    /// Until when it does not matter when a call is recorded.
    pub(crate) fn step_end(&self) -> Tick {
        match self {
            Self::Count(_) => NEVER,
            Self::Time(window) => window.step_end(),
        }
    }

    /// The most calls that it can hold.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Count(window) => window.size(),
            Self::Time(_) => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_count_window_that_is_full_of_successes_is_not_changed_by_another() {
        let mut window = SlidingWindow::count(2).open(0);
        window.record(false, false);
        assert!(!window.is_full_of_successes());
        window.record(false, false);
        assert!(window.is_full_of_successes());
        window.record(false, true);
        assert!(!window.is_full_of_successes());

        let mut window = SlidingWindow::time(Duration::from_nanos(30)).open(0);
        window.record(false, false);
        assert!(!window.is_full_of_successes());
    }

    #[test]
    fn it_matters_in_a_time_window_only_in_which_step_a_call_is_recorded() {
        assert_eq!(SlidingWindow::count(2).open(100).step_end(), NEVER);

        let mut window = SlidingWindow::time(Duration::from_nanos(30)).buckets(3).open(100);
        assert_eq!(window.step_end(), 110);
        window.advance(125);
        assert_eq!(window.step_end(), 130);
    }
}
