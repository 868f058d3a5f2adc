//! What trips a circuit: the settings as the state machine goes by them, and the verdicts.

use crate::backoff::Backoff;
use crate::clock::Nanos;
use crate::config::ProbeRule;
use crate::snapshot::Tally;
use crate::transition::Cause;
use crate::window::{Counts, SlidingWindow};

/// The settings after validation, with the defaults filled in: what the state machine goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rules {
    pub(crate) consecutive_failures: Option<u64>,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_call_rate: Option<f64>,
    pub(crate) slow_call_duration: Option<Nanos>,
    /// `None` without a rate rule.
    pub(crate) window: Option<SlidingWindow>,
    pub(crate) minimum_calls: u64,
    pub(crate) open_duration: Backoff,
    pub(crate) half_open: ProbeRule,
    pub(crate) probe_timeout: Nanos,
    pub(crate) abandoned_after: Option<Nanos>,
    pub(crate) max_retry_after: Nanos,
    pub(crate) trip_on_retry_after: bool,
}

impl Rules {
    /// Whether it matters how long a call takes.
    pub(crate) fn times_calls(&self) -> bool {
        self.slow_call_duration.is_some() || self.abandoned_after.is_some()
    }

    /// The trip rule that holds after a call whose callee wished to be left alone for `wish`, if any.
    pub(crate) fn judge(&self, Tally { counts, run }: Tally, wish: Nanos) -> Option<Cause> {
        match self.consecutive_failures {
            Some(limit) if run >= limit => Some(Cause::ConsecutiveFailures { failures: run }),
            _ if self.trips_on(wish) => Some(Cause::RetryAfter),
            _ if counts.calls < self.minimum_calls => None,
            _ => self.judge_rates(counts),
        }
    }

    /// The rate rule that holds, if any, whether or not the calls are enough to judge.
    pub(crate) fn judge_rates(&self, Counts { calls, failures, slow }: Counts) -> Option<Cause> {
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

    pub(crate) fn trips_on(&self, wish: Nanos) -> bool {
        self.trip_on_retry_after && wish > 0
    }

    /// Whether a number of successes, and nothing else, can make these counts trip. Successes lower
    /// the rates, so the worst that they can do is to bring the calls up to the minimum.
    pub(crate) fn successes_may_trip(&self, mut counts: Counts) -> bool {
        counts.calls = counts.calls.max(self.minimum_calls);
        self.judge_rates(counts).is_some()
    }
}
