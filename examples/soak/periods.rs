//! Half-open periods and their probes. Were there too many, and did the right ones decide?
//!
//! The period of a probe is found by time. A transition has a time, taken from the clock that the breaker uses,
//! and a probe was admitted between two readings of the same clock, just before and just after. Between two
//! half-open periods there is an open period or an operator's pause, which is much longer than that. If a thread
//! does not run for so long that the two readings are in different periods, neither period is judged, and both
//! are counted as blurred.

use std::sync::Arc;
use std::sync::atomic::Ordering;

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
        let until = *probe.probe_since.get().expect("the call is a probe");
        self.start <= until && self.ended().is_none_or(|end| probe.asked <= end)
    }
}

/// Compares a period that has ended with its own probes. If `reserves` is set, `poll_ready` may have taken slots
/// without a call, which are not among the probes.
pub(crate) fn judge(
    period: &Period,
    probes: &[Arc<Call>],
    reserves: bool,
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
        let what =
            format!("the backend saw {seen} probes for {PROBES} slots, {returned} were given back");
        find(Check::Slots, what);
    }

    let reported = successes + failures;
    let decided_as_it_should = match end.cause() {
        Cause::ProbesSucceeded => end.to() == State::Closed && reported == PROBES,
        Cause::ProbeFailed => failures == 1 && reported <= PROBES,
        Cause::FailureRate { failures: n, calls } => {
            (n, calls, reported) == (failures, PROBES, PROBES)
        }
        _ => reported < PROBES,
    };
    if !decided_as_it_should {
        let cause = end.cause();
        let what = format!("`{cause}` after {successes} successes, {failures} failures of its own");
        find(Check::Decides, what);
    }

    let since = |probe: &Call| *probe.probe_since.get().expect("the call is a probe");
    let was_in_flight = |probe: &Call| probe.settled.get().is_none_or(Settled::is_stale);
    for probe in probes {
        let took = probe.settled.get().and_then(Settled::duration);
        if probe.settled.get().is_none() {
            find(Check::Once, "a probe was never settled".into());
        } else if was_in_flight(probe) && end.at() > since(probe) + PROBE_TIMEOUT {
            find(Check::Stuck, "a period continued although a probe had timed out".into());
        } else if !was_in_flight(probe) && took > Some(PROBE_TIMEOUT) {
            find(Check::Decides, "the result of a probe counted although it had timed out".into());
        }
    }
    let may_have_timed_out = |probe: &Arc<Call>| {
        let first = probe.asked + PROBE_TIMEOUT;
        was_in_flight(probe) && (first..=since(probe) + PROBE_TIMEOUT).contains(&end.at())
    };
    if end.cause() == Cause::ProbeTimedOut && !reserves && !probes.iter().any(may_have_timed_out) {
        find(Check::Stuck, "a probe timed out that had given its slot back".into());
    }
}
