//! [`StatusWord`]: what a call needs to know about a circuit, in one integer.

use crate::machine::{Effect, Machine, State, Ticket};

/// The state of a circuit as calls read it without the lock: flags in the low bits, and the ticket of the
/// closed period in the upper 51. At one transition per microsecond, tickets last for 71 years.
///
/// A [`Permit`](super::Permit) carries the status word of its admission to the end of its call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusWord(pub(super) u64);

impl StatusWord {
    pub(crate) const CLOSED: u64 = 1;
    /// The circuit is open. It rejects with the published refusal for as long as that holds.
    pub(crate) const OPEN: u64 = 1 << 1;
    /// An operator holds the circuit open or closed, for as long as the published refusal holds.
    pub(crate) const FORCED: u64 = 1 << 2;
    /// The time at which a call begins will be needed when it ends.
    pub(super) const TIMED: u64 = 1 << 3;
    /// A success that is not slow has no effect: [`Effect::None`].
    pub(super) const NO_EFFECT: u64 = 1 << 4;
    /// A success that is not slow may be counted in the current slice: [`Effect::Counted`].
    pub(super) const COUNTED: u64 = 1 << 5;
    /// A result that is not slow may be logged in the current slice: [`Effect::Logged`].
    pub(super) const LOGGED: u64 = 1 << 6;
    /// The observer wants to know how calls end.
    pub(super) const OBSERVED: u64 = 1 << 7;
    /// The calls in flight are counted.
    pub(super) const COUNTS_IN_FLIGHT: u64 = 1 << 8;
    /// An abandoned call counts as a failure if it took too long.
    pub(super) const COUNTS_ABANDONED: u64 = 1 << 9;
    /// The call was turned away and made all the same, so it never counts. Only permits have this flag.
    pub(super) const SHADOW: u64 = 1 << 10;
    /// The observer need not learn of each success, but only how many there were. No observer of this kind exists
    /// without the feature `metrics`.
    pub(super) const BATCHED: u64 = if cfg!(feature = "metrics") { 1 << 11 } else { 0 };
    /// It matters how long a call has been in flight: [`Ages`](super::ages::Ages).
    pub(super) const AGES: u64 = 1 << 12;
    /// A call must do more at its end than be settled.
    pub(super) const WATCHED: u64 =
        Self::OBSERVED | Self::COUNTS_IN_FLIGHT | Self::SHADOW | Self::AGES;
    pub(super) const TICKET_SHIFT: u32 = 13;

    /// The status of a circuit without a breaker. No ticket matches it, and it has no flags.
    pub(super) const NONE: Self = Self(0);

    /// `fixed_flags` are those that do not depend on the state.
    pub(super) fn of(machine: &Machine, effect: Effect, fixed_flags: u64) -> Self {
        let state = match machine.state() {
            State::Closed => Self::CLOSED,
            State::Open => Self::OPEN,
            State::HalfOpen => 0,
        };
        let effect = match effect {
            Effect::None => Self::NO_EFFECT,
            Effect::Counted { .. } => Self::COUNTED,
            Effect::Logged { .. } => Self::LOGGED,
            Effect::Unknown => 0,
        };
        let ticket = machine.closed_ticket().unwrap_or(0) << Self::TICKET_SHIFT;
        let forced = if machine.is_forced() { Self::FORCED } else { 0 };
        Self(fixed_flags | state | forced | effect | ticket)
    }

    #[inline]
    pub(crate) fn is(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    pub(super) fn ticket(self) -> Ticket {
        self.0 >> Self::TICKET_SHIFT
    }

    #[inline]
    pub(super) fn flags(self) -> u64 {
        self.0 & ((1 << Self::TICKET_SHIFT) - 1)
    }

    /// Returns the same status for a shadow call.
    pub(super) fn of_shadow(self) -> Self {
        Self(self.0 & !Self::AGES | Self::SHADOW)
    }

    /// Returns the same status for a call with this ticket.
    pub(super) fn with_ticket(self, ticket: Ticket) -> Self {
        Self(self.flags() | ticket << Self::TICKET_SHIFT)
    }
}
