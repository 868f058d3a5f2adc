//! Everything that can happen to a small circuit.

use std::time::Duration;

use super::super::*;

pub(super) const UNIT: Nanos = 1_000;
pub(super) const WAIT: Nanos = 2 * UNIT;
pub(super) const LONGEST_WAIT: Nanos = 2 * WAIT;
/// The share of a ramp is 0.1 at first, and 0.5 in the middle.
pub(super) const RAMP: Nanos = 2 * UNIT;
pub(super) const PROBE_TIMEOUT: Nanos = 3 * UNIT;
pub(super) const PROBES: u32 = 2;
/// A call that begins at a multiple of [`UNIT`] hangs after 1.25 times this.
pub(super) const HUNG_AFTER: Nanos = 2 * UNIT;
/// For how long the circuit is suspected.
pub(super) const SUSPICION: Nanos = 2 * UNIT;
/// For how long an operator forces the circuit.
pub(super) const FORCE: Nanos = 2 * UNIT;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// Asks for admission and calls at once.
    Acquire,
    /// Asks for admission and, if that gives a probe slot, keeps it for later.
    Reserve,
    /// The inner service is ready for the caller that holds the slot.
    SetReady(usize),
    /// The holder of the slot calls.
    Begin(usize),
    Settle(usize, Report),
    Pass(Nanos),
    Operate(OperatorAction),
    Reconfigure(usize),
}

/// How a world may break a guarantee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// A stale result counts as one of the current period.
    StaleResultsCount,
    /// A probe that is dropped or ignored keeps its slot.
    SlotIsKept,
    /// A probe never expires.
    ProbesNeverExpire,
    /// A probe does not take its slot.
    TwoInOneSlot,
    /// The wait of an open period never ends.
    OpenForEver,
    /// A circuit that is forced for a time is so for ever.
    ForcedForEver,
    /// A circuit that is suspected is so for ever.
    SuspectedForEver,
    /// A call that ends is still in flight.
    CallsNeverLeave,
}

pub(super) const STEPS_OF_TIME: [Step; 2] = [Step::Pass(UNIT), Step::Pass(PROBE_TIMEOUT)];
pub(super) const ACTIONS: [Step; 8] = [
    Step::Operate(OperatorAction::Trip),
    Step::Operate(OperatorAction::Reset),
    Step::Operate(OperatorAction::ForceOpen),
    Step::Operate(OperatorAction::ForceClosed),
    Step::Operate(OperatorAction::ForceOpenFor { duration: Duration::from_nanos(FORCE) }),
    Step::Operate(OperatorAction::ForceClosedFor { duration: Duration::from_nanos(FORCE) }),
    Step::Operate(OperatorAction::Resume),
    Step::Operate(OperatorAction::SetEnforcement { share: 0.0 }),
];
pub(super) const SUSPECT: Step =
    Step::Operate(OperatorAction::Suspect { duration: Duration::from_nanos(SUSPICION) });
/// All reports. Those that are counted come first.
pub(super) const REPORTS: [Report; 6] = [
    Report::Success,
    Report::Failure,
    Report::FailureRetryAfter(3 * UNIT),
    Report::SoftFailure { retry_after: 0 },
    Report::Ignored,
    Report::GivenUp,
];
pub(super) const COUNTED: usize = 4;
