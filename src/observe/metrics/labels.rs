//! The values of labels: all that there can be, in the order of the enums.

use crate::machine::Change;
use crate::machine::State::{self, Closed, HalfOpen, Open};

/// Of [`State`].
pub(crate) const STATES: [&str; 3] = ["closed", "open", "half_open"];

/// Of [`Ending`](crate::Ending).
pub(crate) const OUTCOMES: [&str; 5] =
    ["success", "failure", "ignored", "abandoned", "soft_failure"];

/// Of [`RejectReason`](crate::RejectReason).
pub(crate) const REASONS: [&str; 3] = ["open", "half_open", "forced_open"];

/// The transitions that there can be, with the [name](crate::Cause::name) of the cause.
pub(crate) const TRANSITIONS: [(State, State, &str); 24] = [
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

/// Which of the [`TRANSITIONS`] it is.
pub(crate) fn index(change: &Change) -> Option<usize> {
    let this = (change.from, change.to, change.cause.name());
    TRANSITIONS.iter().position(|transition| *transition == this)
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
