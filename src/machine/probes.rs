//! The probes in flight while half-open.

use std::collections::VecDeque;

use super::Ticket;
use super::time::{Nanos, Tick};

/// Room for this many is taken at once.
const AT_FIRST: u32 = 16;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Probes {
    /// Sorted by admission, and so by ticket and by deadline, too.
    in_flight: VecDeque<Probe>,
    timeout: Nanos,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Probe {
    ticket: Ticket,
    deadline: Tick,
}

impl Probes {
    /// For probes that have to report within `timeout`; mostly `expected` of them at a time.
    pub(crate) fn new(expected: u32, timeout: Nanos) -> Self {
        let in_flight = VecDeque::with_capacity(expected.min(AT_FIRST) as usize);
        Self { in_flight, timeout }
    }

    /// Takes a probe in, later than all others and with a greater ticket.
    pub(crate) fn admit(&mut self, ticket: Ticket, now: Tick) {
        let deadline = now.saturating_add(self.timeout);
        self.in_flight.push_back(Probe { ticket, deadline });
    }

    /// Until when the probe with this ticket has to report, if it is in flight.
    pub(crate) fn deadline(&self, ticket: Ticket) -> Option<Tick> {
        let index = self.index(ticket)?;
        Some(self.in_flight[index].deadline)
    }

    /// Takes the probe with this ticket out; whether it was in flight.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> bool {
        let index = self.index(ticket);
        index.and_then(|index| self.in_flight.remove(index)).is_some()
    }

    /// When the time of the oldest is over.
    pub(crate) fn first_deadline(&self) -> Option<Tick> {
        self.in_flight.front().map(|oldest| oldest.deadline)
    }

    pub(crate) fn count(&self) -> u64 {
        self.in_flight.len() as u64
    }

    pub(crate) fn clear(&mut self) {
        self.in_flight.clear();
    }

    fn index(&self, ticket: Ticket) -> Option<usize> {
        self.in_flight.binary_search_by_key(&ticket, |probe| probe.ticket).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::NEVER;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_are_found_whatever_the_order_in_which_they_end(
            ends in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let mut probes = Probes::new(3, 10);
            let mut left: Vec<Ticket> = (0..ends.len() as u64).map(|n| 100 + 3 * n).collect();
            left.iter().zip(0..).for_each(|(&ticket, now)| probes.admit(ticket, now));
            for end in ends {
                prop_assert_eq!(probes.count(), left.len() as u64);
                prop_assert_eq!(probes.first_deadline(), probes.deadline(left[0]));
                let ticket = left.remove(end.index(left.len()));
                prop_assert_eq!(probes.deadline(ticket), Some((ticket - 100) / 3 + 10));
                prop_assert!(probes.remove(ticket));
                prop_assert!(!probes.remove(ticket));
                prop_assert_eq!(probes.deadline(ticket), None);
            }
            prop_assert_eq!(probes.first_deadline(), None);
        }
    }

    #[test]
    fn the_longest_timeout_does_not_overflow() {
        let mut probes = Probes::new(u32::MAX, NEVER);
        probes.admit(1, 5);
        assert_eq!(probes.first_deadline(), Some(NEVER));
    }
}
