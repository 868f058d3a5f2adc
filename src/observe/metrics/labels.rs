//! The values of the labels. Each list has every value that there can be. Except for the transitions, a value
//! is the name of an enum's variant, at the index of the variant.

use crate::machine::State::{self, Closed, HalfOpen, Open};
use crate::machine::{Change, ProbeRule, RejectReason, Rules};
use crate::observe::Ending;

pub(super) const STATES: [&str; 3] = [Closed.name(), Open.name(), HalfOpen.name()];

/// The states that circuits can be forced into.
pub(super) const FORCED_STATES: [&str; 2] = [Closed.name(), Open.name()];

/// The states whose time is counted. A circuit is closed for the rest of its life.
pub(super) const TIMED_STATES: [State; 2] = [Open, HalfOpen];

pub(super) const OUTCOMES: [&str; 5] = [
    Ending::Success.name(),
    Ending::Failure.name(),
    Ending::Ignored.name(),
    Ending::Abandoned.name(),
    Ending::SoftFailure.name(),
];

pub(super) const REASONS: [&str; 4] = [
    RejectReason::Open.name(),
    RejectReason::HalfOpen.name(),
    RejectReason::Recovering.name(),
    RejectReason::ForcedOpen.name(),
];

/// The trip rules, in the order of [`Rules::thresholds`].
pub(super) const RULES: [&str; 4] =
    ["consecutive_failures", "failure_count", "failure_rate", "slow_call_rate"];

/// All possible transitions, with the [name](crate::Cause::name) of the cause.
pub(super) const TRANSITIONS: [(State, State, &str); 30] = [
    (Closed, Open, "consecutive_failures"),
    (Closed, Open, "hung"),
    (Closed, Open, "failure_count"),
    (Closed, Open, "failure_rate"),
    (Closed, Open, "slow_call_rate"),
    (Closed, Open, "retry_after"),
    (Closed, Open, "primed"),
    (Closed, Open, "trip"),
    (Closed, Open, "force_open"),
    (Open, HalfOpen, "wait_over"),
    (Open, HalfOpen, "resume"),
    (Open, Open, "trip"),
    (Open, Open, "force_open"),
    (Open, Closed, "reset"),
    (Open, Closed, "force_closed"),
    (HalfOpen, Closed, "probes_succeeded"),
    (HalfOpen, Closed, "ramp_completed"),
    (HalfOpen, Closed, "reset"),
    (HalfOpen, Closed, "force_closed"),
    (HalfOpen, Open, "probe_failed"),
    (HalfOpen, Open, "probe_slow"),
    (HalfOpen, Open, "probe_timed_out"),
    (HalfOpen, Open, "consecutive_failures"),
    (HalfOpen, Open, "hung"),
    (HalfOpen, Open, "failure_count"),
    (HalfOpen, Open, "failure_rate"),
    (HalfOpen, Open, "slow_call_rate"),
    (HalfOpen, Open, "retry_after"),
    (HalfOpen, Open, "trip"),
    (HalfOpen, Open, "force_open"),
];

/// Returns the index of a change in [`TRANSITIONS`].
pub(super) fn index(change: &Change) -> Option<usize> {
    let transition = (change.from, change.to, change.cause.name());
    TRANSITIONS.iter().position(|listed| *listed == transition)
}

/// Returns whether a circuit with these rules can make a transition by itself, without an operator.
pub(super) fn is_automatic(rules: &Rules, (from, _, cause): (State, State, &str)) -> bool {
    let is_sample = matches!(rules.half_open, ProbeRule::Sample(_));
    let recovers = rules.ramp > 0;
    let trips = from == Closed || recovers;
    let is_judged = trips || is_sample;
    match cause {
        "consecutive_failures" => trips && rules.consecutive_failures.is_some(),
        "hung" => trips && rules.consecutive_failures.is_some() && rules.hung_after.is_some(),
        "failure_count" => trips && rules.failure_count.is_some(),
        "failure_rate" => is_judged && rules.failure_rate.is_some(),
        "slow_call_rate" => is_judged && rules.slow_call_rate.is_some(),
        "retry_after" => is_judged && rules.trip_on_retry_after,
        "probe_failed" | "probe_timed_out" => !is_sample,
        "probe_slow" => !is_sample && rules.slow_call_rate.is_some(),
        "wait_over" => true,
        "probes_succeeded" => !recovers,
        "ramp_completed" => recovers,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{TRANSITIONS, is_automatic};
    use crate::machine::reachable_changes;

    #[test]
    fn every_transition_that_a_small_circuit_can_make_has_a_series() {
        let reachable = reachable_changes();
        assert!(reachable.len() > 15);
        for (_, change) in reachable {
            assert!(TRANSITIONS.contains(&change), "{change:?} has no series");
        }
    }

    #[test]
    fn the_series_of_transitions_that_need_no_operator_begin_with_the_circuit() {
        let by_hand = ["trip", "reset", "force_open", "force_closed", "resume"];
        for (rules, change) in reachable_changes() {
            let is_by_hand = by_hand.contains(&change.2);
            assert!(is_automatic(&rules, change) != is_by_hand, "{change:?} of {rules:?}");
        }
    }
}
