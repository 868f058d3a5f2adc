//! The probe slots that are taken while half-open.

use std::collections::VecDeque;

use super::Ticket;
use super::time::{NEVER, Tick};

/// Memory for this many slots is allocated at first.
const AT_FIRST: u32 = 16;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Probes {
    /// Sorted by ticket, because tickets grow.
    slots: VecDeque<Slot>,
    /// The earliest deadline of all slots, or [`NEVER`]. It is computed again when the slot with this deadline
    /// is removed, which is cheap because there are few slots.
    first_deadline: Tick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Slot {
    ticket: Ticket,
    deadline: Tick,
    /// Whether the inner service of the holder is ready and has not been called. An idle slot shows nothing
    /// about the dependency, and goes to any caller that finds no free slot.
    idle: bool,
}

/// A slot that has expired.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) deadline: Tick,
    pub(super) idle: bool,
}

impl Probes {
    /// Creates an empty list. `expected` is the usual number of slots that are taken at one time.
    pub(super) fn new(expected: u32) -> Self {
        let slots = VecDeque::with_capacity(expected.min(AT_FIRST) as usize);
        Self { slots, first_deadline: NEVER }
    }

    /// Takes a slot. The ticket must be greater than all tickets before.
    pub(super) fn admit(&mut self, ticket: Ticket, deadline: Tick) {
        self.slots.push_back(Slot { ticket, deadline, idle: false });
        self.first_deadline = self.first_deadline.min(deadline);
    }

    /// Returns when the slot with this ticket expires, if there is one.
    pub(super) fn deadline(&self, ticket: Ticket) -> Option<Tick> {
        let index = self.index(ticket)?;
        Some(self.slots[index].deadline)
    }

    /// Marks the slot with this ticket as idle, if there is one.
    pub(super) fn set_idle(&mut self, ticket: Ticket) {
        if let Some(index) = self.index(ticket) {
            self.slots[index].idle = true;
        }
    }

    /// Begins the call of the slot with this ticket, which then expires at `deadline`. Returns whether there
    /// is such a slot.
    pub(super) fn begin(&mut self, ticket: Ticket, deadline: Tick) -> bool {
        let Some(index) = self.index(ticket) else { return false };
        self.slots[index] = Slot { ticket, deadline, idle: false };
        self.find_first_deadline();
        true
    }

    /// Frees the slot with this ticket. Returns whether there was one.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        self.index(ticket).and_then(|index| self.remove_at(index)).is_some()
    }

    /// Frees an idle slot. Returns whether there was one.
    pub(super) fn remove_idle(&mut self) -> bool {
        let index = self.slots.iter().position(|slot| slot.idle);
        index.and_then(|index| self.remove_at(index)).is_some()
    }

    /// Frees the slot that was the first to expire, if any has expired by `now`.
    pub(super) fn remove_expired(&mut self, now: Tick) -> Option<Expired> {
        let deadline = self.first_deadline().filter(|deadline| now >= *deadline)?;
        let index = self.slots.iter().position(|slot| slot.deadline == deadline)?;
        let Slot { deadline, idle, .. } = self.remove_at(index)?;
        Some(Expired { deadline, idle })
    }

    /// Returns when the first slot expires, if any is taken.
    pub(super) fn first_deadline(&self) -> Option<Tick> {
        (!self.slots.is_empty()).then_some(self.first_deadline)
    }

    pub(super) fn count(&self) -> u64 {
        self.slots.len() as u64
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.first_deadline = NEVER;
    }

    fn index(&self, ticket: Ticket) -> Option<usize> {
        self.slots.binary_search_by_key(&ticket, |slot| slot.ticket).ok()
    }

    fn remove_at(&mut self, index: usize) -> Option<Slot> {
        let removed = self.slots.remove(index)?;
        if removed.deadline == self.first_deadline {
            self.find_first_deadline();
        }
        Some(removed)
    }

    fn find_first_deadline(&mut self) {
        let deadlines = self.slots.iter().map(|slot| slot.deadline);
        self.first_deadline = deadlines.min().unwrap_or(NEVER);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An operation on the slots. The index chooses one of the slots that are taken.
    #[derive(Debug, Clone)]
    enum Op {
        Admit(Tick),
        SetIdle(prop::sample::Index),
        Begin(prop::sample::Index, Tick),
        Remove(prop::sample::Index),
        RemoveIdle,
        RemoveExpired(Tick),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let index = any::<prop::sample::Index>;
        let op = prop_oneof![
            3 => (0..50_u64).prop_map(Op::Admit),
            1 => index().prop_map(Op::SetIdle),
            1 => (index(), 0..50_u64).prop_map(|(index, deadline)| Op::Begin(index, deadline)),
            1 => index().prop_map(Op::Remove),
            1 => Just(Op::RemoveIdle),
            1 => (0..50_u64).prop_map(Op::RemoveExpired),
        ];
        prop::collection::vec(op, 0..60)
    }

    proptest! {
        #[test]
        fn the_slots_are_what_a_plain_list_would_be(ops in ops()) {
            let mut probes = Probes::new(3);
            let mut list: Vec<Slot> = Vec::new();
            for (op, ticket) in ops.into_iter().zip(1..) {
                let chosen = |index: &prop::sample::Index, list: &[Slot]| {
                    (!list.is_empty()).then(|| index.index(list.len()))
                };
                match op {
                    Op::Admit(deadline) => {
                        probes.admit(ticket, deadline);
                        list.push(Slot { ticket, deadline, idle: false });
                    }
                    Op::SetIdle(index) => if let Some(at) = chosen(&index, &list) {
                        probes.set_idle(list[at].ticket);
                        list[at].idle = true;
                    },
                    Op::Begin(index, deadline) => if let Some(at) = chosen(&index, &list) {
                        prop_assert!(probes.begin(list[at].ticket, deadline));
                        list[at] = Slot { deadline, idle: false, ..list[at] };
                    },
                    Op::Remove(index) => if let Some(at) = chosen(&index, &list) {
                        let Slot { ticket, .. } = list.remove(at);
                        prop_assert!(probes.remove(ticket));
                        prop_assert!(!probes.remove(ticket));
                        prop_assert!(!probes.begin(ticket, 7));
                    },
                    Op::RemoveIdle => {
                        let at = list.iter().position(|slot| slot.idle);
                        prop_assert_eq!(probes.remove_idle(), at.is_some());
                        if let Some(at) = at {
                            list.remove(at);
                        }
                    }
                    Op::RemoveExpired(now) => {
                        let first = list.iter().min_by_key(|slot| slot.deadline).copied();
                        let first = first.filter(|slot| slot.deadline <= now);
                        let expired = first.map(|Slot { deadline, idle, .. }| Expired { deadline, idle });
                        prop_assert_eq!(probes.remove_expired(now), expired);
                        list.retain(|slot| first.is_none_or(|first| slot.ticket != first.ticket));
                    }
                }
                prop_assert_eq!(probes.count(), list.len() as u64);
                let first = list.iter().map(|slot| slot.deadline).min();
                prop_assert_eq!(probes.first_deadline(), first);
                for slot in &list {
                    prop_assert_eq!(probes.deadline(slot.ticket), Some(slot.deadline));
                }
            }
        }
    }

    #[test]
    fn a_slot_that_never_expires_is_found_all_the_same() {
        let mut probes = Probes::new(u32::MAX);
        probes.admit(1, NEVER);
        assert_eq!(probes.first_deadline(), Some(NEVER));
    }
}
