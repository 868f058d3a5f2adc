//! The values of the labels. Each list has every value that there can be, because all series are registered
//! in advance. Except for the transitions, a value is the name of an enum's variant, at the index of the
//! variant.

use crate::machine::State::{self, Closed, HalfOpen, Open};
use crate::machine::{Change, RejectReason};
use crate::observe::Ending;

pub(super) const STATES: [&str; 3] = [Closed.name(), Open.name(), HalfOpen.name()];

pub(super) const OUTCOMES: [&str; 5] = [
    Ending::Success.name(),
    Ending::Failure.name(),
    Ending::Ignored.name(),
    Ending::Abandoned.name(),
    Ending::SoftFailure.name(),
];

pub(super) const REASONS: [&str; 3] =
    [RejectReason::Open.name(), RejectReason::HalfOpen.name(), RejectReason::ForcedOpen.name()];

/// All possible transitions, with the [name](crate::Cause::name) of the cause.
pub(super) const TRANSITIONS: [(State, State, &str); 24] = [
    (Closed, Open, "consecutive_failures"),
    (Closed, Open, "failure_count"),
    (Closed, Open, "failure_rate"),
    (Closed, Open, "slow_call_rate"),
    (Closed, Open, "retry_after"),
    (Closed, Open, "trip"),
    (Closed, Open, "force_open"),
    (Open, HalfOpen, "wait_over"),
    (Open, HalfOpen, "resume"),
    (Open, Open, "trip"),
    (Open, Open, "force_open"),
    (Open, Closed, "reset"),
    (Open, Closed, "force_closed"),
    (HalfOpen, Closed, "probes_succeeded"),
    (HalfOpen, Closed, "reset"),
    (HalfOpen, Closed, "force_closed"),
    (HalfOpen, Open, "probe_failed"),
    (HalfOpen, Open, "probe_slow"),
    (HalfOpen, Open, "probe_timed_out"),
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

#[cfg(test)]
mod tests {
    use super::TRANSITIONS;
    use crate::machine::reachable_changes;

    #[test]
    fn every_transition_that_a_small_circuit_can_make_has_a_series() {
        let reachable = reachable_changes();
        assert!(reachable.len() > 15);
        for change in reachable {
            assert!(TRANSITIONS.contains(&change), "{change:?} has no series");
        }
    }
}
