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
    /// The circuit is recovering: the probes have succeeded, and a growing share of the calls is
    /// [admitted](crate::HalfOpen::ramp). Its state is half-open.
    Recovering,
    /// An operator holds the circuit open with [`force_open`](crate::CircuitBreaker::force_open) or
    /// [`force_open_for`](crate::CircuitBreaker::force_open_for).
    ForcedOpen,
}

impl RejectReason {
    /// The name of the reason in snake case, such as `half_open`. Metrics and log fields use this name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Recovering => "recovering",
            Self::ForcedOpen => "forced_open",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "the circuit is open",
            Self::HalfOpen => "the circuit is half-open and has no free probe slot",
            Self::Recovering => "the circuit is recovering and admits only a share of the calls",
            Self::ForcedOpen => "the circuit is forced open",
        })
    }
}

/// The machine's answer to a call that it does not admit: the reason, and the time until which no probe
/// is admitted.
///
/// Both are packed into one integer, because a value that is written in parts and then moved as a whole
/// stalls the processor (`cargo bench --bench rejection` shows the difference). The two highest bits are the
/// reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(u64);

impl Refusal {
    /// Only an operator ends this.
    pub(crate) const FORCED_OPEN: Self = Self::new(Self::FORCED, Self::LATEST);

    const OPEN: u64 = 0;
    const HALF_OPEN: u64 = 1;
    const RECOVERING: u64 = 2;
    const FORCED: u64 = 3;
    const REASON_SHIFT: u32 = 62;
    /// Stands for this tick and every later one. It is 73 years after the first breaker of the process.
    const LATEST: Tick = (1 << Self::REASON_SHIFT) - 1;

    pub(crate) fn open(until: Tick) -> Self {
        Self::new(Self::OPEN, until.min(Self::LATEST))
    }

    pub(crate) fn half_open(until: Tick) -> Self {
        Self::new(Self::HALF_OPEN, until.min(Self::LATEST))
    }

    pub(crate) fn recovering(until: Tick) -> Self {
        Self::new(Self::RECOVERING, until.min(Self::LATEST))
    }

    pub(crate) fn forced_open(until: Tick) -> Self {
        Self::new(Self::FORCED, until.min(Self::LATEST))
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    const fn new(reason: u64, until: Tick) -> Self {
        Self(reason << Self::REASON_SHIFT | until)
    }

    pub(crate) fn reason(self) -> RejectReason {
        match self.0 >> Self::REASON_SHIFT {
            Self::OPEN => RejectReason::Open,
            Self::HALF_OPEN => RejectReason::HalfOpen,
            Self::RECOVERING => RejectReason::Recovering,
            _ => RejectReason::ForcedOpen,
        }
    }

    pub(crate) fn is_forced(self) -> bool {
        self.reason() == RejectReason::ForcedOpen
    }

    /// Whether it is certain that no probe is admitted at `now`. After [`LATEST`](Self::LATEST) only the machine knows.
    pub(crate) fn holds(self, now: Tick) -> bool {
        self == Self::FORCED_OPEN || now < self.0 & Self::LATEST
    }

    /// Returns when the next probe may be admitted. Returns [`NEVER`] if that is too far away to be
    /// represented, and `None` if only an operator can close the circuit.
    pub(crate) fn until(self) -> Option<Tick> {
        match self.0 & Self::LATEST {
            Self::LATEST if self == Self::FORCED_OPEN => None,
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
        assert_eq!(of(Refusal::recovering(5)), (RejectReason::Recovering, Some(5)));
        assert_eq!(of(Refusal::forced_open(5)), (RejectReason::ForcedOpen, Some(5)));
        assert_eq!(of(Refusal::FORCED_OPEN), (RejectReason::ForcedOpen, None));
        assert_eq!(Refusal::forced_open(NEVER), Refusal::FORCED_OPEN);
    }

    #[test]
    fn a_refusal_holds_until_its_end_or_as_long_as_it_can_tell() {
        const LATEST: Tick = Refusal::LATEST;
        for refusal in [Refusal::open, Refusal::half_open, Refusal::forced_open] {
            assert_eq!([4, 5].map(|now| refusal(5).holds(now)), [true, false]);
        }
        assert_eq!([LATEST - 1, LATEST].map(|now| Refusal::open(NEVER).holds(now)), [true, false]);
        assert!(Refusal::FORCED_OPEN.holds(NEVER));
    }

    #[test]
    fn a_wait_without_end_does_not_change_the_reason() {
        for (refusal, reason) in [
            (Refusal::open(NEVER), RejectReason::Open),
            (Refusal::half_open(NEVER), RejectReason::HalfOpen),
            (Refusal::recovering(NEVER), RejectReason::Recovering),
        ] {
            assert_eq!((refusal.reason(), refusal.until()), (reason, Some(NEVER)));
        }
    }
}
