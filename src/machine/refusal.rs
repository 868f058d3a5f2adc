//! Why a call is rejected.

use std::fmt;

use super::time::{NEVER, Tick};

/// Why a call was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// The circuit is open and its open period has not elapsed.
    Open,
    /// The circuit is half-open and every probe slot is taken.
    HalfOpen,
    /// An operator holds the circuit open with [`force_open`](crate::CircuitBreaker::force_open).
    ForcedOpen,
}

impl RejectReason {
    /// The name of the reason in snake case, such as `half_open`. Metrics and log fields use this name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "the circuit is open",
            Self::HalfOpen => "the circuit is half-open and has no free probe slot",
            Self::ForcedOpen => "the circuit is forced open",
        })
    }
}

/// The machine's answer to a call that it does not admit: the reason, and the time until which no probe
/// is admitted.
///
/// Both are packed into one integer, because a value that is written in parts and then moved as a whole
/// stalls the processor (`cargo bench --bench rejection` shows the difference). The highest bit says
/// that the circuit is half-open, and zero stands for a circuit that is forced open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(u64);

impl Refusal {
    pub(crate) const FORCED_OPEN: Self = Self(0);
    const HALF_OPEN: u64 = 1 << 63;
    /// Stands for this tick and every later one. It is 146 years after the first breaker of the process.
    const LATEST: Tick = Self::HALF_OPEN - 1;

    pub(crate) fn open(until: Tick) -> Self {
        Self(until.min(Self::LATEST))
    }

    pub(crate) fn half_open(until: Tick) -> Self {
        Self(Self::open(until).0 | Self::HALF_OPEN)
    }

    pub(crate) fn reason(self) -> RejectReason {
        match self {
            Self::FORCED_OPEN => RejectReason::ForcedOpen,
            Self(word) if word >= Self::HALF_OPEN => RejectReason::HalfOpen,
            _ => RejectReason::Open,
        }
    }

    /// Returns when the next probe may be admitted. Returns [`NEVER`] if that is too far away to be
    /// represented, and `None` if only an operator can close the circuit.
    pub(crate) fn until(self) -> Option<Tick> {
        match self.0 & !Self::HALF_OPEN {
            _ if self == Self::FORCED_OPEN => None,
            Self::LATEST => Some(NEVER),
            until => Some(until),
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_until_when() {
        let of = |refusal: Refusal| (refusal.reason(), refusal.until());
        assert_eq!(of(Refusal::open(5)), (RejectReason::Open, Some(5)));
        assert_eq!(of(Refusal::half_open(5)), (RejectReason::HalfOpen, Some(5)));
        assert_eq!(of(Refusal::FORCED_OPEN), (RejectReason::ForcedOpen, None));
    }

    #[test]
    fn a_wait_without_end_does_not_change_the_reason() {
        for (refusal, reason) in [
            (Refusal::open(NEVER), RejectReason::Open),
            (Refusal::half_open(NEVER), RejectReason::HalfOpen),
        ] {
            assert_eq!((refusal.reason(), refusal.until()), (reason, Some(NEVER)));
        }
    }
}
