//! Checks that the protected client behaved as expected. The result is the exit code.
//!
//! The limits are wide, because the machine may be busy with something else.

use std::time::Duration;

use tower_breaker::State;

use crate::args::Mode;
use crate::client::{LONGEST_WAIT, MINIMUM_CALLS, RAMP, TIMEOUT};
use crate::load::{Call, End};
use crate::report::{percentile, time};
use crate::run::{Outage, PhaseRun, Run, Side};
use crate::terminal::Terminal;

/// How long a circuit may take to close after an outage. In the worst case, a probe still runs into the timeout,
/// and the longest wait and the ramp follow.
fn longest_recovery() -> Duration {
    (TIMEOUT + LONGEST_WAIT).mul_f64(1.25) + RAMP
}

/// A rejection takes microseconds. This limit tells it from a call that waits for a timeout.
const AT_ONCE: Duration = Duration::from_millis(50);

/// At a lower rate there are too few calls to show what `hung_after` and the ramp change.
const ENOUGH: u32 = 80;

enum Verdict {
    Pass(String),
    Fail(String),
    /// The chosen phases cannot show it.
    Skip(String),
}

/// Prints the checks. Returns whether none has failed.
pub(crate) fn print(terminal: Terminal, run: &Run) -> bool {
    println!("\n{}", terminal.bold("Checks of the protected client"));
    let checks = [
        ("no rejection while the backend is healthy at first", no_early_rejection(run)),
        ("the circuit trips in every outage", trips(run)),
        ("a rejected call is answered at once", rejects_at_once(run)),
        ("the backend is spared during outages", spares_the_backend(run)),
        ("`hung_after` halves how long a hang makes callers wait", sees_hangs(run)),
        ("with a ramp, a cold backend does not fall over", ramps(run)),
        ("the circuit recovers after every outage", recovers(run)),
        ("in the end the circuit is closed and calls succeed", ends_well(run)),
    ];
    for (what, verdict) in &checks {
        let (mark, detail) = match verdict {
            Verdict::Pass(detail) => (terminal.green("✓"), detail),
            Verdict::Fail(detail) => (terminal.red("✗"), detail),
            Verdict::Skip(detail) => (terminal.dim("–"), detail),
        };
        println!("{mark} {what:<54} {}", terminal.dim(detail));
    }
    !checks.iter().any(|(_, verdict)| matches!(verdict, Verdict::Fail(_)))
}

fn check(passed: bool, detail: String) -> Verdict {
    if passed { Verdict::Pass(detail) } else { Verdict::Fail(detail) }
}

fn skip(why: &str) -> Verdict {
    Verdict::Skip(format!("not checked: {why}"))
}

fn no_early_rejection(run: &Run) -> Verdict {
    if run.phases[0].mode != Mode::Healthy {
        return skip("the first phase is not healthy");
    }
    let calls = run.protected.calls_in(0);
    let rejected = calls.filter(|call| call.end == End::Rejection).count();
    check(rejected == 0, format!("{rejected} rejected"))
}

fn trips(run: &Run) -> Verdict {
    // There must have been more than enough time for the calls that are needed to fail.
    let long_enough = |outage: &Outage| {
        let phase = &run.phases[outage.phase];
        let needed = Duration::from_secs(1) * MINIMUM_CALLS / run.plan.rate + TIMEOUT;
        phase.ended - phase.began > needed.mul_f64(1.5)
    };
    let mut outages = run.outages();
    outages.retain(|outage| run.phases[outage.phase].state_before == State::Closed);
    outages.retain(long_enough);
    if outages.is_empty() {
        return skip("no outage started with a closed circuit and was long enough for this rate");
    }
    let tripped = outages.iter().filter(|outage| outage.tripped.is_some()).count();
    check(tripped == outages.len(), format!("{tripped} of {} outages", outages.len()))
}

fn rejects_at_once(run: &Run) -> Verdict {
    let calls = &run.protected.calls;
    let rejected = calls.iter().filter(|call| call.end == End::Rejection);
    let mut latencies: Vec<Duration> = rejected.map(|call| call.took).collect();
    if latencies.is_empty() {
        let tripped = run.outages().iter().any(|outage| outage.tripped.is_some());
        let none = "no call was rejected";
        return if tripped { Verdict::Fail(none.into()) } else { skip(none) };
    }
    latencies.sort_unstable();
    let median = percentile(&latencies, 0.5);
    check(median < AT_ONCE, format!("median {}, limit {}", time(median), time(AT_ONCE)))
}

fn spares_the_backend(run: &Run) -> Verdict {
    let reached =
        |reached: &[u64]| -> u64 { run.outages().iter().map(|outage| reached[outage.phase]).sum() };
    let (bare, protected) = (reached(&run.bare.reached), reached(&run.protected.reached));
    if bare < 100 {
        return skip("the bare client sent too few requests");
    }
    let percent = 100.0 * protected as f64 / bare as f64;
    let detail = format!("{percent:.0} % of the bare client's requests, limit 60 %");
    check(percent <= 60.0, detail)
}

fn sees_hangs(run: &Run) -> Verdict {
    let long_enough = |phase: &PhaseRun| phase.ended - phase.began > 2 * TIMEOUT;
    let mut hangs = run.phases.iter().filter(|phase| phase.mode == Mode::Hang).peekable();
    if hangs.peek().is_none() || run.plan.rate < ENOUGH {
        return skip("there is no hang, or the rate is too low");
    }
    if !hangs.all(|phase| phase.state_before == State::Closed && long_enough(phase)) {
        return skip("a hang was too short, or did not start with a closed circuit");
    }
    // Later calls are only probes, which wait for as long with either breaker.
    let early = |call: &Call| {
        let phase = &run.phases[call.phase];
        phase.mode == Mode::Hang && call.started < phase.began + 2 * TIMEOUT
    };
    let waited = |side: &Side| side.wasted(early).as_secs_f64();
    let (without, with) = (waited(&run.simple), waited(&run.protected));
    check(
        with <= 0.5 * without,
        format!("{with:.1} s instead of {without:.1} s in the first second"),
    )
}

fn ramps(run: &Run) -> Verdict {
    if !run.has(Mode::Cold) || run.plan.rate < ENOUGH {
        return skip("there is no cold phase, or the rate is too low");
    }
    let follows_outage = |pair: &[PhaseRun]| pair[1].mode != Mode::Cold || pair[0].mode.is_outage();
    if run.phases[0].mode == Mode::Cold || !run.phases.windows(2).all(follows_outage) {
        return skip("a cold phase did not follow an outage");
    }
    let (without, with) = (run.simple.falls, run.protected.falls);
    let detail = format!("fell over {without} times without a ramp, {with} with one");
    check(without > 0 && with == 0, detail)
}

fn recovers(run: &Run) -> Verdict {
    let mut outages = run.outages();
    outages.retain(|outage| outage.tripped.is_some());
    outages.retain(|outage| outage.healthy_after > longest_recovery());
    if outages.is_empty() {
        return skip("no outage tripped the circuit and left enough time afterwards");
    }
    let recovered = outages.iter().filter(|outage| outage.recovered.is_some()).count();
    check(recovered == outages.len(), format!("{recovered} of {} outages", outages.len()))
}

/// Judges the calls in the last quarter of the last phase.
fn ends_well(run: &Run) -> Verdict {
    let Some(last) = run.phases.last().filter(|phase| !phase.mode.is_outage()) else {
        return skip("the last phase is an outage");
    };
    let length = last.ended - last.began;
    if run.phases.len() > 1 && length < longest_recovery() {
        return skip("the last phase is too short for a recovery");
    }
    let from = last.ended - length / 4;
    let calls = run.protected.calls.iter().filter(|call| call.started >= from);
    let (mut all, mut successes) = (0, 0);
    for call in calls {
        all += 1;
        successes += usize::from(call.end == End::Success);
    }
    let passed = run.last_state == State::Closed && successes * 10 >= all * 9;
    check(passed, format!("{}, {successes} of the last {all} calls", run.last_state))
}
