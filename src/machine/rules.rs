//! The settings that the machine goes by, and the verdicts that they give.

use super::Report;
use super::backoff::Backoff;
use super::cause::Cause;
use super::counts::{Counts, Tally};
use super::half_open::ProbeRule;
use super::time::Nanos;
use super::window::SlidingWindow;

/// The settings after validation, with the defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rules {
    pub(crate) consecutive_failures: Option<u64>,
    /// Trips by the number of failures in the window.
    pub(crate) failure_count: Option<u64>,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_call_rate: Option<f64>,
    pub(crate) slow_call_duration: Option<Nanos>,
    /// Whether a call in flight counts as slow after this duration.
    pub(crate) slow_in_flight: bool,
    /// After how long a call in flight counts as failed.
    pub(crate) hung_after: Option<Nanos>,
    /// `None` if no rule needs a window.
    pub(crate) window: Option<SlidingWindow>,
    pub(crate) minimum_calls: u64,
    pub(crate) open_duration: Backoff,
    pub(crate) half_open: ProbeRule,
    /// For how long the circuit admits a growing share of the calls before it closes. Zero if it closes at once.
    pub(crate) ramp: Nanos,
    pub(crate) probe_timeout: Nanos,
    pub(crate) abandoned_after: Option<Nanos>,
    pub(crate) max_retry_after: Nanos,
    pub(crate) trip_on_retry_after: bool,
    /// The share of rejections that are enforced, from 0.0 to 1.0. No decision of the machine depends on it.
    pub(crate) enforcement: f64,
}

/// What the end of a call counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `None` if the call says nothing about the dependency.
    pub(crate) counted: Option<Counted>,
    pub(crate) slow: bool,
}

/// What a call says about the dependency, if it says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Success,
    Failure,
    /// A failure to the rates and to a probe, but neither the next of a streak nor its end.
    SoftFailure,
}

impl Verdict {
    pub(crate) fn failed(self) -> bool {
        matches!(self.counted, Some(Counted::Failure | Counted::SoftFailure))
    }

    /// Returns the failure streak after this call.
    pub(super) fn streak_after(self, streak: u64) -> u64 {
        match self.counted {
            Some(Counted::Success) => 0,
            Some(Counted::Failure) => streak + 1,
            Some(Counted::SoftFailure) | None => streak,
        }
    }
}

impl Rules {
    /// Whether it matters how long a call takes.
    pub(crate) fn times_calls(&self) -> bool {
        self.slow_call_duration.is_some()
            || self.abandoned_after.is_some()
            || self.hung_after.is_some()
    }

    /// Returns what a call that took this long and ended this way counts as.
    pub(crate) fn verdict(&self, report: Report, took: Nanos) -> Verdict {
        let reached = |limit: Option<Nanos>| limit.is_some_and(|limit| took >= limit);
        let counted = match report {
            Report::Success => Some(Counted::Success),
            Report::Failure | Report::FailureRetryAfter(_) => Some(Counted::Failure),
            Report::SoftFailure { .. } => Some(Counted::SoftFailure),
            Report::GivenUp if reached(self.abandoned_after) => Some(Counted::Failure),
            Report::GivenUp | Report::Abandoned | Report::Ignored => None,
        };
        Verdict { counted, slow: counted.is_some() && reached(self.slow_call_duration) }
    }

    /// Returns the trip rule that holds in the closed state, if any. `asked_to_wait` says that the last
    /// call failed with a retry-after.
    pub(super) fn judge(
        &self,
        Tally { counts, streak, hung, .. }: Tally,
        asked_to_wait: bool,
    ) -> Option<Cause> {
        match self.consecutive_failures {
            Some(limit) if streak >= limit => Some(Cause::ConsecutiveFailures { failures: streak }),
            Some(limit) if streak + hung >= limit => Some(Cause::Hung { in_flight: hung, limit }),
            _ if asked_to_wait && self.trip_on_retry_after => Some(Cause::RetryAfter),
            _ => self.judge_window(counts),
        }
    }

    /// Returns the rule for the window that holds, if any.
    fn judge_window(&self, counts: Counts) -> Option<Cause> {
        let Counts { calls, failures, .. } = counts;
        match self.failure_count {
            Some(limit) if failures >= limit => Some(Cause::FailureCount { failures }),
            _ if calls < self.minimum_calls => None,
            _ => self.judge_rates(counts),
        }
    }

    /// Returns the rate rule that holds, if any, however few the calls are.
    pub(super) fn judge_rates(&self, Counts { calls, failures, slow }: Counts) -> Option<Cause> {
        let reached = |part: u64, threshold: Option<f64>| {
            threshold.is_some_and(|threshold| part as f64 / calls as f64 >= threshold)
        };
        if reached(failures, self.failure_rate) {
            Some(Cause::FailureRate { failures, calls })
        } else if reached(slow, self.slow_call_rate) {
            Some(Cause::SlowCallRate { slow_calls: slow, calls })
        } else {
            None
        }
    }

    /// Whether successes alone can make a rule for the window hold. Successes lower the rates, so the worst
    /// that they can do is to bring the number of calls up to the minimum.
    pub(super) fn successes_may_trip(&self, mut counts: Counts) -> bool {
        counts.calls = counts.calls.max(self.minimum_calls);
        self.judge_window(counts).is_some()
    }
}
