//! Half-open periods and their probes. Were there too many, and did the right ones decide?
//!
//! The period of a probe is found by time. A transition has a time, taken from the clock that the breaker uses,
//! and a probe was admitted between two readings of the same clock, just before and just after. Between two
//! half-open periods there is an open period or an operator's pause, which is much longer than that. If a thread
//! does not run for so long that the two readings are in different periods, neither period is judged, and both
//! are counted as blurred.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tower_breaker::{Cause, Ending, Settled, State, Transition};

use crate::call::Call;
use crate::findings::Check;
use crate::settings::{PROBE_TIMEOUT, PROBES};

pub(crate) struct Period {
    start: Instant,
    pub(crate) end: Option<Transition>,
    /// Whether one of its probes may belong to the period before.
    pub(crate) blurred: bool,
}

impl Period {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, end: None, blurred: false }
    }

    pub(crate) fn ended(&self) -> Option<Instant> {
        self.end.as_ref().map(Transition::at)
    }

    /// Whether the period may have admitted this probe.
    pub(crate) fn may_have_admitted(&self, probe: &Call) -> bool {
        self.start <= admitted_at(probe) && self.ended().is_none_or(|end| probe.asked <= end)
    }
}

/// What the periods of a circuit are judged by.
pub(crate) struct Rules {
    /// Whether `poll_ready` may take slots without a call. These are not among the probes.
    pub(crate) reserves: bool,
    pub(crate) is_sample: bool,
    /// The longest time that a probe may have had. It is the probe timeout unless probes succeeded too late.
    pub(crate) longest_probe: Duration,
}

impl Rules {
    /// Compares a period that has ended with its own probes.
    pub(crate) fn judge(
        &self,
        period: &Period,
        probes: &[Arc<Call>],
        find: impl Fn(Check, String),
    ) {
        let Some(end) = &period.end else { return };
        // How its own probes ended before the period did.
        let ended = |ending: Ending| {
            let ended = probes.iter().filter_map(|probe| probe.settled.get());
            ended.filter(|settled| !settled.is_stale() && settled.ending() == ending).count() as u64
        };
        let (successes, failures) = (ended(Ending::Success), ended(Ending::Failure));
        let returned = ended(Ending::Ignored) + ended(Ending::Abandoned);

        let admitted = probes.len() as u64;
        if admitted > PROBES + returned {
            let what = format!("{admitted} probes for {PROBES} slots, {returned} were given back");
            find(Check::Slots, what);
        }
        let arrived = |probe: &Arc<Call>| u64::from(probe.arrived.load(Ordering::Relaxed));
        let seen: u64 = probes.iter().map(arrived).sum();
        if seen > PROBES + returned {
            let what = format!(
                "the backend saw {seen} probes for {PROBES} slots, {returned} were given back"
            );
            find(Check::Slots, what);
        }

        // In a sample, a probe that times out is a failure of the sample.
        let late = probes.iter().filter(|probe| may_have_timed_out(probe, end));
        let most_failures = failures + if self.is_sample { late.count() as u64 } else { 0 };
        let reported = successes + failures;
        let decided_as_it_should = match end.cause() {
            Cause::ProbesSucceeded => {
                end.to() == State::Closed
                    && reported <= PROBES
                    && successes + most_failures >= PROBES
            }
            Cause::ProbeFailed => failures == 1 && reported <= PROBES,
            Cause::FailureRate { failures: n, calls } => {
                calls == PROBES && (failures..=most_failures).contains(&n) && successes == calls - n
            }
            _ => reported < PROBES,
        };
        if !decided_as_it_should {
            let cause = end.cause();
            let what = format!(
                "`{cause}` after {successes} successes, {failures} to {most_failures} failures of its own"
            );
            find(Check::Decides, what);
        }

        for probe in probes {
            let took = probe.settled.get().and_then(Settled::duration);
            if probe.settled.get().is_none() {
                find(Check::Once, "a probe was never settled".into());
            } else if was_in_flight(probe) {
                if !self.is_sample && end.at() > admitted_at(probe) + self.longest_probe {
                    let what = "a period continued although a probe had timed out";
                    find(Check::Stuck, what.into());
                }
            } else if took > Some(self.longest_probe) {
                let what = "the result of a probe counted although it had timed out";
                find(Check::Decides, what.into());
            }
        }
        let timed_out = |probe: &Arc<Call>| {
            let last = admitted_at(probe) + self.longest_probe;
            may_have_timed_out(probe, end) && end.at() <= last
        };
        if end.cause() == Cause::ProbeTimedOut && !self.reserves && !probes.iter().any(timed_out) {
            find(Check::Stuck, "a probe timed out that had given its slot back".into());
        }
    }
}

fn admitted_at(probe: &Call) -> Instant {
    *probe.probe_since.get().expect("the call is a probe")
}

/// Whether the period ended, or the probe timed out, before the probe reported.
fn was_in_flight(probe: &Call) -> bool {
    probe.settled.get().is_none_or(Settled::is_stale)
}

/// Whether the probe may have timed out before the period ended.
fn may_have_timed_out(probe: &Call, end: &Transition) -> bool {
    was_in_flight(probe) && end.at() >= probe.asked + PROBE_TIMEOUT
}
