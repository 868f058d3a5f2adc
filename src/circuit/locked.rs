//! [`LockedState`]: the data behind the lock of a circuit.

use std::sync::Arc;

use super::observer::{Observer, Watches};
use super::status::StatusWord;
use crate::machine::{Machine, Packed, Rules, Tick, Ticket};

pub(super) enum LockedState {
    /// The circuit works for no breaker. No ticket is given twice, so it keeps the last one of the former breakers.
    Free {
        last_ticket: Ticket,
    },
    Working(LockedBreaker),
}

impl Default for LockedState {
    fn default() -> Self {
        Self::Free { last_ticket: 0 }
    }
}

impl LockedState {
    /// Returns the breaker that the circuit works for at present, if there is one.
    pub(super) fn breaker(&mut self) -> Option<&mut LockedBreaker> {
        match self {
            Self::Working(breaker) => Some(breaker),
            Self::Free { .. } => None,
        }
    }

    /// Returns whether nothing but successes has happened to the machine, as far as that is known without unpacking it.
    #[cfg(feature = "admin")]
    pub(super) fn is_packed(&self) -> bool {
        matches!(self, Self::Working(LockedBreaker { machine: Stored::Packed(_), .. }))
    }

    /// Returns the last ticket that was given.
    pub(super) fn last_ticket(&mut self) -> Ticket {
        match self {
            Self::Working(breaker) => breaker.machine().last_ticket(),
            Self::Free { last_ticket } => *last_ticket,
        }
    }
}

pub(super) struct LockedBreaker {
    machine: Stored,
    pub(super) observer: Arc<dyn Observer>,
    /// The flags of the status word that do not depend on the state, and the first ticket of this breaker. Earlier
    /// tickets belong to breakers that are gone.
    fixed: StatusWord,
}

/// The machine, packed if it is the machine of a key and can be. It is unpacked whenever it is looked at.
enum Stored {
    Whole(Box<Machine>),
    Packed(Packed),
}

impl Stored {
    #[inline]
    fn get(&mut self, first_ticket: Ticket) -> &mut Machine {
        if let Self::Packed(packed) = self {
            *self = Self::unpacked(packed, first_ticket);
        }
        match self {
            Self::Whole(machine) => machine,
            Self::Packed(_) => unreachable!("it has been unpacked"),
        }
    }

    /// Not inlined, because the machines of most breakers are never packed.
    #[cold]
    fn unpacked(packed: &Packed, first_ticket: Ticket) -> Self {
        Self::Whole(Box::new(packed.unpack(first_ticket)))
    }
}

impl LockedBreaker {
    pub(super) fn new(
        machine: Machine,
        observer: Arc<dyn Observer>,
        counts_in_flight: bool,
    ) -> Self {
        let flags = if counts_in_flight { StatusWord::COUNTS_IN_FLIGHT } else { 0 };
        let fixed = StatusWord(flags).with_ticket(machine.last_ticket());
        Self { machine: Stored::Whole(Box::new(machine)), observer, fixed }
    }

    pub(super) fn first_ticket(&self) -> Ticket {
        self.fixed.ticket()
    }

    /// Returns the flags of the status word that do not depend on the state.
    pub(super) fn fixed_flags(&self) -> u64 {
        self.fixed.flags()
    }

    /// Whether it matters how long calls have been in flight.
    pub(super) fn is_watching_ages(&self) -> bool {
        self.fixed.is(StatusWord::AGES)
    }

    #[inline]
    pub(super) fn machine(&mut self) -> &mut Machine {
        self.machine.get(self.fixed.ticket())
    }

    pub(super) fn rules(&self) -> &Arc<Rules> {
        match &self.machine {
            Stored::Whole(machine) => machine.rules(),
            Stored::Packed(packed) => packed.rules(),
        }
    }

    /// Lets the observer take a reading.
    pub(super) fn read(&mut self, now: Tick) {
        self.observer.read(self.machine.get(self.fixed.ticket()), now);
    }

    /// Sets the flags that depend on the rules.
    pub(super) fn follow_rules(&mut self) {
        let (rules, watches) = (self.rules(), self.observer.watches());
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let is_timed = rules.times_calls() || watches >= Watches::Durations;
        let flags = self.fixed.flags() & StatusWord::COUNTS_IN_FLIGHT
            | flag(StatusWord::TIMED, is_timed)
            | flag(StatusWord::OBSERVED, watches >= Watches::Batches)
            | flag(StatusWord::BATCHED, watches == Watches::Batches)
            | flag(StatusWord::AGES, rules.watches_calls_in_flight())
            | flag(StatusWord::COUNTS_ABANDONED, rules.abandoned_after.is_some());
        self.fixed = StatusWord(flags).with_ticket(self.fixed.ticket());
    }

    /// Records what has happened. Returns the observer if it has to be notified.
    pub(super) fn record(&mut self) -> Option<Arc<dyn Observer>> {
        let machine = self.machine.get(self.fixed.ticket());
        let notify = self.observer.record(machine);
        machine.clear_occurrences();
        notify.then(|| self.observer.clone())
    }

    /// Packs the machine of a key, of which there may be very many, until the lock is taken again.
    #[inline]
    pub(super) fn pack(&mut self) {
        if self.fixed.is(StatusWord::COUNTS_IN_FLIGHT) {
            self.pack_if_possible();
        }
    }

    #[cold]
    fn pack_if_possible(&mut self) {
        if let Some(packed) = self.machine().pack() {
            self.machine = Stored::Packed(packed);
        }
    }
}
