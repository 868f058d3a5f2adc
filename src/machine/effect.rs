//! Whether the results of the next calls need the machine at once.

use super::counts::{Counts, Tally};
use super::overdue::Weight;
use super::window::Window;
use super::{Machine, NEVER, Phase, Tick};

/// What a call that was admitted in the current closed period does when it ends and was not slow. This
/// decides whether the circuit has to ask the machine at once or may collect the result for later. In
/// any other period, every result has to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A success changes nothing. A failure may change anything.
    None,
    /// Until `until`, up to `capacity` successes only have to be counted. It does not matter when they
    /// come or in which order. A failure may change anything.
    Counted { until: Tick, capacity: u64 },
    /// Until `until`, no sequence of up to `capacity` results can trip the circuit. Only their order
    /// matters.
    Logged { until: Tick, capacity: u64 },
    /// Every result may change anything.
    Unknown,
}

impl Effect {
    /// The largest capacity for counting successes.
    pub(crate) const MAX_COUNTED: u64 = (1 << 24) - 1;

    /// The largest capacity for logging results.
    pub(crate) const MAX_LOGGED: u64 = 23;
}

/// Successes are counted, and nothing is logged, while at most one call of this many fails. Each failure
/// then costs the lock, and so does the success after it, but threads that count do not share a word.
const RARE: u64 = 16;

impl Machine {
    pub(crate) fn effect(&self) -> Effect {
        let Phase::Closed { streak, .. } = self.phase else {
            return Effect::Unknown;
        };
        // Then every call asks the machine.
        if self.calls_in_flight.is_some() && self.overdue_weight(self.now) != Weight::default() {
            return Effect::Unknown;
        }
        let window = self.window.as_ref();
        if streak == 0 && window.is_none_or(|window| self.is_unchanged_by_successes(window)) {
            return Effect::None;
        }
        let counts = window.map(Window::counts).unwrap_or_default();
        let until =
            window.map_or(NEVER, Window::step_end).min(self.next_end).min(self.overdue_step_end());
        let are_rare = window.is_some() && counts.failures * RARE <= counts.calls;
        let loggable = if are_rare { 0 } else { self.results_that_cannot_trip(counts, streak) };
        match window {
            _ if loggable > 0 => Effect::Logged { until, capacity: loggable },
            Some(window) if streak == 0 && !self.successes_may_trip(counts) => {
                // Once the window may be full, the machine looks at it, because then further successes
                // may change nothing.
                Effect::Counted { until, capacity: Effect::MAX_COUNTED.min(window.size()) }
            }
            _ => Effect::Unknown,
        }
    }

    /// Calls in flight that do not weigh now may do so by other settings, if few results have come since.
    fn is_unchanged_by_successes(&self, window: &Window) -> bool {
        let has_overdue = self.calls_in_flight.as_ref().is_some_and(|it| !it.overdue.is_empty());
        window.is_full_of_successes() && !has_overdue
    }

    fn successes_may_trip(&self, counts: Counts) -> bool {
        !self.is_forced() && self.rules.successes_may_trip(counts)
    }

    /// Returns a number of further results that cannot trip the circuit, whatever they are.
    fn results_that_cannot_trip(&self, counts: Counts, streak: u64) -> u64 {
        if self.is_forced() {
            return Effect::MAX_LOGGED;
        }
        // Slow calls that are too few to be judged now may be enough once other calls have come.
        if counts.slow > 0 && self.successes_may_trip(counts) {
            return 0;
        }
        let size = self.window.as_ref().map_or(0, Window::size);
        let after_failures = |n: u64| {
            let calls = (counts.calls + n).min(size);
            let failures = (counts.failures + n).min(calls);
            Tally {
                counts: Counts { calls, failures, ..counts },
                streak: streak + n,
                ..Tally::default()
            }
        };
        let cannot_trip = |n: &u64| self.rules.judge(after_failures(*n), false).is_none();
        [1, 3, 8, Effect::MAX_LOGGED].into_iter().take_while(cannot_trip).last().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::time::Duration;

    use super::super::tests::rules;
    use super::super::{Admission, OperatorAction, Report, Results, Rules, SlidingWindow, State};
    use super::*;

    const SLOW: u64 = 10;
    const START: Tick = 1000;

    fn some_rules() -> impl Strategy<Value = Rules> {
        let rate = || prop::option::of(0.05..=1.0);
        let time = SlidingWindow::time(Duration::from_nanos(100));
        let window = prop_oneof![(1_u32..60).prop_map(SlidingWindow::count), Just(time)];
        let limit = || prop::option::of(1_u64..60);
        (limit(), limit(), rate(), rate(), window, 1_u32..60).prop_map(
            |(streak, count, failed, slow, window, minimum)| Rules {
                consecutive_failures: streak,
                failure_count: count,
                failure_rate: failed,
                slow_call_rate: slow,
                slow_call_duration: slow.map(|_| SLOW),
                window: (count.is_some() || failed.is_some() || slow.is_some()).then_some(window),
                minimum_calls: window.minimum_calls(minimum),
                ..rules()
            },
        )
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
            forced in prop::option::weighted(0.2, prop::option::of(1_u64..300)),
            before in calls(60),
            pauses in [0_u64..4, 0_u64..120],
            after in calls(50),
            later in 0_u64..300,
        ) {
            let mut machine = Machine::new(rules, 0, 0, START);
            let mut now = START;
            if let Some(time) = forced {
                machine.operate(time.map_or(OperatorAction::ForceClosed, |nanos| {
                    OperatorAction::ForceClosedFor { duration: Duration::from_nanos(nanos) }
                }), now);
            }
            for (failed, slow) in before {
                settle(&mut machine, now, failed, slow);
                now += pauses[0];
            }
            now += pauses[1];
            machine.reserved_until(now, 0); // lets time pass and does nothing else
            let effect = machine.effect();
            let (capacity, until, may_fail) = match effect {
                Effect::Unknown => (0, NEVER, false),
                Effect::None => (u64::MAX, NEVER, false),
                Effect::Counted { capacity, until } => (capacity, until, false),
                Effect::Logged { capacity, until } => (capacity, until, true),
            };
            prop_assert!(now < until);
            now = (now + later).min(until - 1);
            let results = after.into_iter().map(|(failed, _)| failed && may_fail);
            let results: Vec<bool> = results.take(capacity as usize).collect();

            let mut at_once = machine.clone();
            match effect {
                Effect::Unknown | Effect::None => {}
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
            assert_eq!(machine.effect(), Effect::Unknown);
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
        assert_eq!(machine.effect(), Effect::Unknown);
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
        assert_eq!(machine.effect(), Effect::Logged { until: NEVER, capacity: Effect::MAX_LOGGED });
    }
}
