//! A change of state, as the machine reports it.

use std::fmt;

use super::cause::Cause;
use super::state::State;
use super::time::{Nanos, Tick};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) cause: Cause,
    pub(crate) at: Tick,
    /// `None` if the circuit did not open, or was forced open.
    pub(crate) opening: Option<Opening>,
    /// The share of rejections that are enforced.
    pub(crate) enforcement: f64,
}

/// The beginning of an open period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) wait: Nanos,
    /// The number of this open period since the circuit was last closed, starting with 1.
    pub(crate) attempt: u32,
    /// How many calls in flight counted towards the rule that tripped the circuit.
    pub(crate) in_flight: u64,
}

/// Prints what to know about the share of rejections that are enforced, or nothing if it is all of them.
pub(crate) struct EnforcementNote(pub(crate) f64);

impl fmt::Display for EnforcementNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0.0 => f.write_str(", in shadow mode"),
            1.0 => Ok(()),
            share => write!(f, ", enforcement {share}"),
        }
    }
}
