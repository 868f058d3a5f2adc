//! What a call needs to know of a circuit, in one word.

use crate::snapshot::State;
use crate::state::{Effect, Machine, Ticket};

/// What the word says. The ticket of a closed period takes the upper 55 bits: at a transition every
/// microsecond they last for a thousand years.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    pub(crate) const CLOSED: u64 = 1;
    /// Unless it is forced, it rejects until `open_until`.
    pub(crate) const OPEN: u64 = 1 << 1;
    /// An operator holds it open or closed.
    pub(crate) const FORCED: u64 = 1 << 2;
    /// The time of a call's beginning will be needed.
    pub(crate) const TIMED: u64 = 1 << 3;
    /// A success that is not slow changes nothing.
    pub(crate) const SUCCESS_IS_NOTHING: u64 = 1 << 4;
    /// A success that is not slow may be counted in the present slice.
    pub(crate) const SUCCESS_IS_COUNTED: u64 = 1 << 5;
    /// A result that is not slow may be logged in the present slice.
    pub(crate) const RESULT_IS_LOGGED: u64 = 1 << 6;
    /// Somebody wants to know how calls end.
    pub(crate) const OBSERVED: u64 = 1 << 7;
    /// Somebody wants to know how many calls are in flight.
    pub(crate) const COUNTED: u64 = 1 << 8;
    pub(crate) const WATCHED: u64 = Self::OBSERVED | Self::COUNTED;
    const TICKET_SHIFT: u32 = 9;

    /// `flags` are those that do not depend on the state.
    pub(crate) fn of(machine: &Machine, effect: Effect, flags: u64) -> Self {
        let state = match machine.state() {
            State::Closed => Self::CLOSED,
            State::Open => Self::OPEN,
            State::HalfOpen => 0,
        };
        let effect = match effect {
            Effect::Nothing => Self::SUCCESS_IS_NOTHING,
            Effect::Counted { .. } => Self::SUCCESS_IS_COUNTED,
            Effect::Logged { .. } => Self::RESULT_IS_LOGGED,
            Effect::Any => 0,
        };
        let ticket = machine.closed_ticket().unwrap_or(0) << Self::TICKET_SHIFT;
        let forced = if machine.is_forced() { Self::FORCED } else { 0 };
        Self(flags | state | forced | effect | ticket)
    }

    #[inline]
    pub(crate) fn is(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    pub(crate) fn ticket(self) -> Ticket {
        self.0 >> Self::TICKET_SHIFT
    }

    /// The same for a call with this ticket.
    pub(crate) fn with_ticket(self, ticket: Ticket) -> Self {
        let flags = self.0 & ((1 << Self::TICKET_SHIFT) - 1);
        Self(flags | ticket << Self::TICKET_SHIFT)
    }
}
