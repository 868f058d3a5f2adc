//! [`State`].

use std::fmt;

/// The state of a circuit.
///
/// `Display` prints the state for people, `half-open`. [`name`](Self::name) is for machines,
/// `half_open`, and is what the state serializes as with the feature `serde`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum State {
    /// Calls are admitted and their results are counted.
    Closed,
    /// Calls are rejected until the open period has elapsed.
    Open,
    /// A limited number of probes is admitted to find out whether the dependency has recovered.
    HalfOpen,
}

impl State {
    /// The name of the state in snake case: `closed`, `open` or `half_open`. Metrics, log fields, JSON
    /// and files use this name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for State {
    /// Prints `closed`, `open` or `half-open`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::HalfOpen => "half-open",
            state => state.name(),
        })
    }
}
