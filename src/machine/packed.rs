//! [`Packed`]: a healthy machine in little memory.

use std::sync::Arc;

use super::forgetting::ClosedTime;
use super::retry_after::RetryAfter;
use super::window::Successes;
use super::{Machine, NEVER, Phase, Rules, Tick, Ticket};

/// A machine to which nothing has happened but successes, in a tenth of its memory. Together with the first ticket of
/// the machine, this is everything that the machine knows.
///
/// A registry may have very many circuits, and almost all of them stay like this.
#[derive(Debug)]
pub(crate) struct Packed {
    rules: Arc<Rules>,
    since: Tick,
    now: Tick,
    seed: u32,
    /// Empty if the machine has no window.
    window: Successes,
}

// A circuit has room for this in three cache lines.
const _: () = assert!(size_of::<Packed>() <= 48);

impl Machine {
    /// Packs the machine, unless it knows too much.
    pub(crate) fn pack(&self) -> Option<Packed> {
        // All fields are listed, so that none is forgotten.
        let Self {
            ref rules,
            phase: Phase::Closed { ticket, streak: 0 },
            forced: None,
            suspicion: None,
            next_end: NEVER,
            ref window,
            calls_in_flight: None,
            last_grid: 0,
            ramp: None,
            ref probes,
            last_ticket,
            attempts: 0,
            closed_time,
            openings: 0,
            seed,
            now,
            since,
            cause: None,
            retry_after,
            outage,
            late_success: 0,
            ref occurrences,
            slot_freed: false,
        } = *self
        else {
            return None;
        };
        let is_as_new = (last_ticket, outage) == (ticket, ticket)
            && closed_time == ClosedTime::start(since)
            && retry_after == RetryAfter::default()
            && probes.count() == 0
            && occurrences.is_empty();
        if !is_as_new {
            return None;
        }
        let successes = window.as_ref().map(|window| window.pack(since, now));
        let window = successes.unwrap_or(Some(Successes::default()))?;
        let seed = seed.try_into().ok()?;
        Some(Packed { rules: rules.clone(), since, now, seed, window })
    }
}

impl Packed {
    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Returns the machine as it was when it was packed. `ticket` is the first that it gave.
    pub(crate) fn unpack(&self, ticket: Ticket) -> Machine {
        let Self { rules, since, now, seed, window } = self;
        let mut machine = Machine::new(rules.clone(), ticket - 1, (*seed).into(), *since);
        machine.now = *now;
        if let Some(new) = &mut machine.window {
            new.unpack(window, *now);
        }
        machine
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::tests::rules;
    use super::super::{OperatorAction, Report, SlidingWindow};
    use super::*;

    fn machine(window: Option<SlidingWindow>) -> Machine {
        let rules = Rules { window, failure_rate: Some(1.0), minimum_calls: 1000, ..rules() };
        Machine::new(rules, 6, 42, 100)
    }

    fn windows() -> impl Strategy<Value = Option<SlidingWindow>> {
        let time = SlidingWindow::time(Duration::from_nanos(50));
        prop_oneof![
            Just(None),
            (1_u32..600).prop_map(|calls| Some(SlidingWindow::count(calls))),
            (1_u32..12).prop_map(move |buckets| Some(time.buckets(buckets))),
        ]
    }

    proptest! {
        #[test]
        fn a_packed_machine_comes_back_as_it_was(
            window in windows(),
            pauses in vec((0_u64..30, 0_u64..20), 0..50),
        ) {
            let mut machine = machine(window);
            let mut now = 100;
            for (pause, successes) in pauses {
                now += pause;
                let ticket = machine.closed_ticket().unwrap();
                machine.settle(|| now, ticket, now, Report::Success);
                machine.settle_successes(successes);
                let fits = window.is_none_or(|window| window.buckets.is_none_or(|n| n <= 10));
                let Some(packed) = machine.pack() else {
                    let is_long = window == Some(SlidingWindow::count(512))
                        || machine.window.as_ref().is_some_and(|window| window.size() > 512);
                    prop_assert!(!fits || is_long);
                    continue;
                };
                let unpacked = packed.unpack(7);
                prop_assert_eq!(format!("{machine:?}"), format!("{unpacked:?}"));
            }
        }
    }

    #[test]
    fn a_machine_is_not_packed_once_anything_but_a_success_has_happened() {
        let settle = |machine: &mut Machine, report| {
            let ticket = machine.closed_ticket().unwrap();
            machine.settle(|| 101, ticket, 101, report);
        };
        let operate = |machine: &mut Machine, action| {
            machine.operate(action, 101);
            machine.clear_occurrences();
        };
        let events: [&dyn Fn(&mut Machine); 6] = [
            &|machine| settle(machine, Report::Failure),
            &|machine| settle(machine, Report::SoftFailure { retry_after: 0 }),
            &|machine| operate(machine, OperatorAction::Trip),
            &|machine| operate(machine, OperatorAction::ForceClosed),
            &|machine| operate(machine, OperatorAction::Reset),
            &|machine| machine.operate(OperatorAction::Resume, 101),
        ];
        for (event, happen) in events.into_iter().enumerate() {
            let mut machine = machine(Some(SlidingWindow::default()));
            assert!(machine.pack().is_some());
            happen(&mut machine);
            assert!(machine.pack().is_none(), "event {event}");
        }
    }

    #[test]
    fn more_successes_than_fit_are_not_packed() {
        let mut machine = machine(Some(SlidingWindow::default()));
        machine.settle_successes(u16::MAX.into());
        assert!(machine.pack().is_some());
        machine.settle_successes(1);
        assert!(machine.pack().is_none());
    }
}
