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
use tower_breaker::{Cause, Ending, State, Transition};

use crate::call::Call;
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

/// Compares a period that is over with its own probes.
pub(crate) fn judge(period: &Period, probes: &[Arc<Call>], find: impl Fn(String)) {
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
        find(format!("{admitted} probes of {PROBES}, {returned} places were given back"));
    }
    let arrived = |probe: &Arc<Call>| u64::from(probe.arrived.load(Ordering::Relaxed));
    let seen: u64 = probes.iter().map(arrived).sum();
    if seen > PROBES + returned {
        find(format!("the backend saw {seen} probes of {PROBES}, {returned} given back"));
    }

    let decided_as_it_should = match end.cause() {
        Cause::ProbesSucceeded => end.to() == State::Closed && successes + failures == PROBES,
        Cause::ProbeFailed => failures == 1 && successes < PROBES,
        Cause::FailureRate { failures: n, calls } => {
            (n, calls) == (failures, PROBES) && successes + failures == PROBES
        }
        _ => successes + failures < PROBES,
    };
    if !decided_as_it_should {
        let cause = end.cause();
        find(format!("`{cause}` after {successes} successes, {failures} failures of its probes"));
    }

    for probe in probes {
        let since = *probe.probe_since.get().expect("it is a probe");
        match probe.settled.get() {
            None => find("a probe was never settled".into()),
            Some(settled) if settled.is_stale() && end.at() > since + PROBE_TIMEOUT => {
                find("a period went on although the time of a probe was over".into());
            }
            Some(settled) if !settled.is_stale() && settled.duration() > Some(PROBE_TIMEOUT) => {
                find("the result of a probe whose time was over was taken".into());
            }
            Some(_) => {}
        }
    }
}
