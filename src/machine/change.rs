//! A change of state, as the machine reports it.

use super::cause::Cause;
use super::state::State;
use super::time::{Nanos, Tick};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) cause: Cause,
    pub(crate) at: Tick,
    /// `None` if the circuit did not open, or was forced open.
    pub(crate) opening: Option<Opening>,
}

/// The beginning of an open period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) wait: Nanos,
    /// The number of this open period since the circuit was last closed, starting with 1.
    pub(crate) attempt: u32,
}
