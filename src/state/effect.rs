//! What the next calls can do: whether they need the machine to settle.

use super::{Machine, Phase, Tally};
use crate::clock::{NEVER, Tick};
use crate::window::{Counts, Window};
use crate::{log, stripes};

/// What a call that was admitted in the present closed period does when it ends and was not slow. In
/// any other period it may do anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A success does nothing, a failure may do anything.
    Nothing,
    /// Until then so many successes are merely counted: it does not matter when they come, or in which
    /// order. A failure may do anything.
    Counted { until: Tick, room: u64 },
    /// Until then so many results trip nothing, whatever they are: all that matters is their order.
    Logged { until: Tick, room: u64 },
    /// It may do anything.
    Any,
}

/// Where no more calls fail than one of so many, successes are counted and nothing is logged, though each
/// failure takes the lock then, and the success after it: threads that count do not meet.
const RARE: u64 = 16;

impl Machine {
    pub(crate) fn effect(&self) -> Effect {
        let Phase::Closed { run, .. } = self.phase else {
            return Effect::Any;
        };
        let window = self.window.as_ref();
        if run == 0 && window.is_none_or(Window::is_full_of_successes) {
            return Effect::Nothing;
        }
        let counts = window.map(Window::counts).unwrap_or_default();
        let until = window.map_or(NEVER, Window::step_end);
        let are_rare = window.is_some() && counts.failures * RARE <= counts.calls;
        let room = if are_rare { 0 } else { self.harmless(counts, run) };
        match window {
            _ if room > 0 => Effect::Logged { until, room },
            Some(window) if run == 0 && !self.successes_may_trip(counts) => {
                // When it may be full, it is looked at, because then they may change nothing.
                Effect::Counted { until, room: stripes::ROOM.min(window.size()) }
            }
            _ => Effect::Any,
        }
    }

    fn successes_may_trip(&self, counts: Counts) -> bool {
        !self.forced && self.rules.successes_may_trip(counts)
    }

    /// A number of results that trip nothing, whatever they are.
    fn harmless(&self, counts: Counts, run: u64) -> u64 {
        if self.forced {
            return log::ROOM;
        }
        // Slow calls that are too few to be judged may be enough when others have come.
        if counts.slow > 0 && self.successes_may_trip(counts) {
            return 0;
        }
        let size = self.window.as_ref().map_or(0, Window::size);
        let after_failures = |n: u64| {
            let calls = (counts.calls + n).min(size);
            let failures = (counts.failures + n).min(calls);
            Tally { counts: Counts { calls, failures, ..counts }, run: run + n }
        };
        let trips_nothing = |n: &u64| self.rules.judge(after_failures(*n), 0).is_none();
        [1, 3, 8, log::ROOM].into_iter().take_while(trips_nothing).last().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Admission, Report, tests::rules};
    use super::*;
    use crate::log::Results;
    use crate::rules::Rules;
    use crate::snapshot::State;
    use crate::window::SlidingWindow;
    use std::time::Duration;

    const SLOW: u64 = 10;
    const START: Tick = 1000;

    fn some_rules() -> impl Strategy<Value = Rules> {
        let rate = || prop::option::of(0.05..=1.0);
        let time = SlidingWindow::time(Duration::from_nanos(100));
        let window = prop_oneof![(1_u32..60).prop_map(SlidingWindow::count), Just(time)];
        let run = prop::option::of(1_u64..60);
        (run, rate(), rate(), window, 1_u32..60).prop_map(|(run, failed, slow, window, minimum)| {
            Rules {
                consecutive_failures: run,
                failure_rate: failed,
                slow_call_rate: slow,
                slow_call_duration: slow.map(|_| SLOW),
                window: (failed.is_some() || slow.is_some()).then_some(window),
                minimum_calls: window.minimum_calls(minimum),
                ..rules()
            }
        })
    }

    fn settle(machine: &mut Machine, now: Tick, failed: bool, slow: bool) {
        let Ok(Admission::Closed(ticket)) = machine.acquire(now) else {
            return;
        };
        let report = if failed { Report::Failure } else { Report::Success };
        machine.settle(|| now, ticket, if slow { now - SLOW } else { now }, report);
    }

    /// Which of them fail, and which are slow.
    fn calls(most: usize) -> impl Strategy<Value = Vec<(bool, bool)>> {
        (0.0..=1.0, 0.0..0.2).prop_flat_map(move |(failed, slow)| {
            let call = (prop::bool::weighted(failed), prop::bool::weighted(slow));
            prop::collection::vec(call, 0..most)
        })
    }

    proptest! {
        #[test]
        fn results_that_are_logged_trip_nothing_and_count_as_if_each_were_settled(
            rules in some_rules(),
            forced in prop::bool::weighted(0.1),
            before in calls(60),
            pauses in [0_u64..4, 0_u64..120],
            after in calls(50),
        ) {
            let mut machine = Machine::new(rules, 0, 0, START);
            let mut now = START;
            if forced {
                machine.force_closed(now);
            }
            for (failed, slow) in before {
                settle(&mut machine, now, failed, slow);
                now += pauses[0];
            }
            now += pauses[1];
            machine.lease(now, 0); // which lets time pass, and nothing else
            let effect = machine.effect();
            let (room, until, may_fail) = match effect {
                Effect::Any => (0, NEVER, false),
                Effect::Nothing => (u64::MAX, NEVER, false),
                Effect::Counted { room, until } => (room, until, false),
                Effect::Logged { room, until } => (room, until, true),
            };
            prop_assert!(now < until);
            let results = after.into_iter().map(|(failed, _)| failed && may_fail);
            let results: Vec<bool> = results.take(room as usize).collect();

            let mut at_once = machine.clone();
            match effect {
                Effect::Any | Effect::Nothing => {}
                Effect::Counted { .. } => at_once.settle_successes(results.len() as u64),
                Effect::Logged { .. } => at_once.settle_results(Results::of(&results)),
            }
            for failed in results {
                settle(&mut machine, now, failed, false);
                prop_assert_eq!(machine.state(), State::Closed);
            }
            prop_assert_eq!(machine.tally(now), at_once.tally(now));
        }
    }

    #[test]
    fn where_the_next_success_may_trip_it_is_not_merely_counted() {
        let with = |rates: Rules| Rules {
            consecutive_failures: None,
            minimum_calls: 10,
            window: Some(SlidingWindow::count(100)),
            ..rates
        };
        let by_failures = Rules { failure_rate: Some(0.5), ..rules() };
        let by_slow_calls =
            Rules { slow_call_rate: Some(0.5), slow_call_duration: Some(SLOW), ..rules() };
        for rates in [by_failures, by_slow_calls] {
            let mut machine = Machine::new(with(rates), 0, 0, START);
            (0..5).for_each(|_| settle(&mut machine, START, true, true));
            (0..4).for_each(|_| settle(&mut machine, START, false, false));
            assert_eq!(machine.effect(), Effect::Any);
            settle(&mut machine, START, false, false);
            assert_eq!(machine.state(), State::Open);
        }
    }

    #[test]
    fn nothing_is_logged_where_successes_may_bring_slow_calls_up_to_the_minimum() {
        let rules = Rules {
            consecutive_failures: None,
            slow_call_rate: Some(0.5),
            slow_call_duration: Some(SLOW),
            minimum_calls: 10,
            window: Some(SlidingWindow::count(100)),
            ..rules()
        };
        let mut machine = Machine::new(rules, 0, 0, START);
        (0..5).for_each(|_| settle(&mut machine, START, true, true));
        (0..3).for_each(|_| settle(&mut machine, START, false, false));
        // With two more they are half of ten, though with three they are less.
        assert_eq!(machine.effect(), Effect::Any);
        (0..2).for_each(|_| settle(&mut machine, START, false, false));
        assert_eq!(machine.state(), State::Open);
    }

    #[test]
    fn where_half_of_the_calls_fail_and_may_the_log_is_used_to_the_full() {
        let window = Some(SlidingWindow::count(100));
        let rules = Rules {
            consecutive_failures: None,
            failure_rate: Some(0.9),
            minimum_calls: 10,
            window,
            ..rules()
        };
        let mut machine = Machine::new(rules, 0, 0, START);
        (0..300).for_each(|n| settle(&mut machine, START, n % 2 == 0, false));
        assert_eq!(machine.effect(), Effect::Logged { until: NEVER, room: log::ROOM });
    }
}
