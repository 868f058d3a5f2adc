//! Half-open periods and their probes: did the right ones decide, and were they not too many?
//!
//! Which period admitted a probe is found by time. A transition says when it was, by the clock that
//! the breaker itself goes by, and a probe was admitted between two looks at that clock, just before
//! and just after. Between two half-open periods lie an open wait or an operator's pause, which are
//! much longer than that. If a thread is kept from running for so long that the two looks lie in
//! different periods all the same, both are left out, and counted.

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
    /// Whether one of its probes may have been that of the period before.
    pub(crate) blurred: bool,
}

impl Period {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, end: None, blurred: false }
    }

    pub(crate) fn ended(&self) -> Option<Instant> {
        self.end.as_ref().map(Transition::at)
    }

    /// Whether it was its present one at some time while the probe was admitted.
    pub(crate) fn may_have_admitted(&self, probe: &Call) -> bool {
        let until = *probe.probe_since.get().expect("it is a probe");
        self.start <= until && self.ended().is_none_or(|end| probe.asked <= end)
    }
}

/// Compares a period that is over with its own probes. `reserves`: places may have been taken that
/// are not among them.
pub(crate) fn judge(
    period: &Period,
    probes: &[Arc<Call>],
    reserves: bool,
    find: impl Fn(Check, String),
) {
    let Some(end) = &period.end else { return };
    // How its own probes have ended while it lasted.
    let ended = |ending: Ending| {
        let ended = probes.iter().filter_map(|probe| probe.settled.get());
        ended.filter(|settled| !settled.is_stale() && settled.ending() == ending).count() as u64
    };
    let (successes, failures) = (ended(Ending::Success), ended(Ending::Failure));
    let returned = ended(Ending::Ignored) + ended(Ending::Abandoned);

    let admitted = probes.len() as u64;
    if admitted > PROBES + returned {
        let what = format!("{admitted} probes of {PROBES}, {returned} places were given back");
        find(Check::Places, what);
    }
    let arrived = |probe: &Arc<Call>| u64::from(probe.arrived.load(Ordering::Relaxed));
    let seen: u64 = probes.iter().map(arrived).sum();
    if seen > PROBES + returned {
        let what = format!("the backend saw {seen} probes of {PROBES}, {returned} given back");
        find(Check::Places, what);
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

    let since = |probe: &Call| *probe.probe_since.get().expect("it is a probe");
    let was_in_flight = |probe: &Call| probe.settled.get().is_none_or(Settled::is_stale);
    for probe in probes {
        let took = probe.settled.get().and_then(Settled::duration);
        if probe.settled.get().is_none() {
            find(Check::Once, "a probe was never settled".into());
        } else if was_in_flight(probe) && end.at() > since(probe) + PROBE_TIMEOUT {
            find(Check::Wedged, "a period went on although the time of a probe was over".into());
        } else if !was_in_flight(probe) && took > Some(PROBE_TIMEOUT) {
            find(Check::Decides, "a probe's result was taken although its time was over".into());
        }
    }
    let may_have_timed_out = |probe: &Arc<Call>| {
        let first = probe.asked + PROBE_TIMEOUT;
        was_in_flight(probe) && (first..=since(probe) + PROBE_TIMEOUT).contains(&end.at())
    };
    if end.cause() == Cause::ProbeTimedOut && !reserves && !probes.iter().any(may_have_timed_out) {
        find(Check::Wedged, "a probe timed out that had given its place back".into());
    }
}
