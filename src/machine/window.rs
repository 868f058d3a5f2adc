//! Sliding windows, which the rates are computed from. They never read the clock: the caller passes the time.

mod count;
mod time;

use std::time::Duration;

use self::count::CountWindow;
use self::time::TimeWindow;
use super::counts::Counts;
use super::results::Results;
use super::time::{NEVER, Tick, nanos};

/// Which calls the failure rate, the slow-call rate and the failure count are computed from.
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

const DEFAULT_BUCKETS: u32 = 10;

impl SlidingWindow {
    /// Creates a window of exactly the last `calls` completed calls (at least 1).
    ///
    /// The window takes two bits for each call: 32 bytes for 100 calls, 250 KB for a million. Memory is
    /// allocated as calls arrive.
    #[must_use]
    pub const fn count(calls: u32) -> Self {
        Self { extent: Extent::Calls(calls), buckets: None }
    }

    /// Creates a window of the calls that completed in the last `length` (longer than zero), in 10 buckets.
    ///
    /// The buckets lie on a fixed grid, which starts when the breaker is built. Its steps are
    /// `length / buckets` long, rounded up to whole nanoseconds. The window holds the current step and the
    /// `buckets - 1` steps before it. So a call counts for at most `length` (rounded up to whole steps), and
    /// for at least one step less. Memory does not grow with the number of calls.
    #[must_use]
    pub const fn time(length: Duration) -> Self {
        Self { extent: Extent::Time(length), buckets: None }
    }

    /// Divides a time window into `n` buckets (at least 1) instead of 10. With more buckets, the window slides
    /// more smoothly and takes more memory: 32 bytes for each bucket.
    ///
    /// [`build`](crate::CircuitBreakerBuilder::build) returns an error if this is set on a count window, which
    /// has no buckets.
    #[must_use]
    pub const fn buckets(self, n: u32) -> Self {
        Self { buckets: Some(n), ..self }
    }

    /// Returns the same window with the number of its buckets, if it has any.
    pub(crate) fn with_buckets(self) -> Self {
        match self.extent {
            Extent::Calls(_) => self,
            Extent::Time(_) => self.buckets(self.buckets.unwrap_or(DEFAULT_BUCKETS)),
        }
    }

    /// Returns the length of a count window.
    pub(super) fn calls(self) -> Option<u32> {
        match self.extent {
            Extent::Calls(size) => Some(size),
            Extent::Time(_) => None,
        }
    }

    /// Returns how many calls the window must hold before a rate is judged. A count window cannot hold more
    /// calls than its size.
    pub(crate) fn minimum_calls(&self, minimum: u32) -> u64 {
        match self.extent {
            Extent::Calls(size) => minimum.min(size).into(),
            Extent::Time(_) => minimum.into(),
        }
    }

    /// Creates an empty window whose grid starts at `now`.
    pub(crate) fn open(&self, now: Tick) -> Window {
        match self.extent {
            Extent::Calls(size) => Window::Count(CountWindow::new(size)),
            Extent::Time(length) => {
                let buckets = self.buckets.unwrap_or(DEFAULT_BUCKETS);
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

/// The content of a window that holds nothing but successes, none of them slow.
#[derive(Debug, Default)]
pub(super) struct Successes {
    /// The number of successes in each step, beginning with the current one. For a count window, the number of all
    /// successes and the index of the next call.
    newest: [u16; MOST_PACKED],
}

/// The greatest number of steps of a window that can be packed: as many as there are by default.
const MOST_PACKED: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Window {
    Count(CountWindow),
    Time(TimeWindow),
}

impl Window {
    /// Removes the calls that are too old at `now`.
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

    /// Records results in the same way.
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

    /// Returns the counts at `now`, which may be later than the last [`advance`](Self::advance).
    pub(crate) fn counts_at(&self, now: Tick) -> Counts {
        match self {
            Self::Count(window) => window.counts(),
            Self::Time(window) => window.counts_at(now),
        }
    }

    /// Returns the same window without the steps that have no effect any more. Two windows that behave the
    /// same from `now` on are then equal.
    #[cfg(test)]
    pub(crate) fn as_seen_at(&self, now: Tick) -> Self {
        match self {
            Self::Count(window) => Self::Count(window.clone()),
            Self::Time(window) => Self::Time(window.as_seen_at(now)),
        }
    }

    /// Whether another success that is not slow would leave the window as it is.
    pub(crate) fn is_full_of_successes(&self) -> bool {
        match self {
            Self::Count(window) => window.is_full_of_successes(),
            Self::Time(_) => false,
        }
    }

    /// Returns the end of the current step. It makes no difference when a call is recorded before that.
    pub(crate) fn step_end(&self) -> Tick {
        match self {
            Self::Count(_) => NEVER,
            Self::Time(window) => window.step_end(),
        }
    }

    /// Returns what the window holds at `now`, if that is only successes, and not too many of them. The grid of a time
    /// window must begin at `origin`.
    pub(super) fn pack(&self, origin: Tick, now: Tick) -> Option<Successes> {
        match self {
            Self::Count(window) => window.pack(),
            Self::Time(window) => window.pack(origin, now),
        }
    }

    /// Fills a new window with what [`pack`](Self::pack) has returned at `now`.
    pub(super) fn unpack(&mut self, successes: &Successes, now: Tick) {
        match self {
            Self::Count(window) => window.unpack(successes),
            Self::Time(window) => window.unpack(successes, now),
        }
    }

    /// Returns whether the window would still hold a call at `now` that completed at this time and was followed by so
    /// many `later` ones.
    pub(super) fn holds(&self, completed: Tick, later: u64, now: Tick) -> bool {
        match self {
            Self::Count(window) => later < window.size(),
            Self::Time(window) => window.holds(completed, now),
        }
    }

    /// Returns the largest number of calls that the window can hold.
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
