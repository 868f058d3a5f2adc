//! Every history of a small circuit up to some length: calls that overlap and end in every way or
//! never, time that passes, operators that switch. After every step the three promises hold.
//!
//! `EXHAUSTIVE_DEPTH` (5 steps if not set) makes it look further, which takes many times as long for each step.

use std::time::Duration;

use super::*;
use crate::backoff::Backoff;
use crate::window::SlidingWindow;

const UNIT: Nanos = 1_000;
const WAIT: Nanos = 2 * UNIT;
const PROBE_TIMEOUT: Nanos = 3 * UNIT;
const PROBES: u32 = 2;
const MOST_CALLS: usize = 4;

/// A circuit and all who use it.
#[derive(Clone)]
struct World {
    machine: Machine,
    now: Tick,
    calls: Vec<Call>,
    /// Counts the state periods, from outside.
    period: u32,
    /// How many probes have reported a success in this period.
    successes: u64,
    history: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Call {
    ticket: Ticket,
    began: Tick,
    period: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Acquire,
    Settle(usize, Report),
    Pass(Nanos),
    Trip,
    Reset,
    ForceOpen,
    ForceClosed,
    Resume,
}

const STEPS_OF_TIME: [Step; 2] = [Step::Pass(UNIT), Step::Pass(PROBE_TIMEOUT)];
const SWITCHES: [Step; 5] =
    [Step::Trip, Step::Reset, Step::ForceOpen, Step::ForceClosed, Step::Resume];
const REPORTS: [Report; 4] = [Report::Success, Report::Failure, Report::Ignored, Report::Abandoned];

impl World {
    fn new(rules: Rules) -> Self {
        let now = 1 << 40;
        Self {
            machine: Machine::new(rules, 0, 0, now),
            now,
            calls: Vec::new(),
            period: 0,
            successes: 0,
            history: Vec::new(),
        }
    }

    /// All that can happen next.
    fn steps(&self) -> Vec<Step> {
        let mut steps = [&STEPS_OF_TIME[..], &SWITCHES].concat();
        if self.calls.len() < MOST_CALLS {
            steps.push(Step::Acquire);
        }
        for call in 0..self.calls.len() {
            steps.extend(REPORTS.map(|report| Step::Settle(call, report)));
        }
        steps
    }

    fn after(&self, step: Step) -> Self {
        let mut world = self.clone();
        world.history.push(step);
        let now = world.now;
        match step {
            Step::Acquire => {
                let admitted = world.machine.acquire(now);
                world.notice_changes();
                if let Ok(Admission::Closed(ticket) | Admission::Probe(ticket)) = admitted {
                    world.calls.push(Call { ticket, began: now, period: world.period });
                }
            }
            Step::Settle(call, report) => world.settle(call, report),
            Step::Pass(time) => world.now += time,
            Step::Trip => world.machine.trip(now),
            Step::Reset => {
                world.machine.reset(now);
                world.new_period();
            }
            Step::ForceOpen => world.machine.force_open(now),
            Step::ForceClosed => world.machine.force_closed(now),
            Step::Resume => world.machine.resume(now),
        }
        world.notice_changes();
        world.assert_no_more_probes_than_permitted();
        world.assert_not_wedged();
        world
    }

    /// A result decides only the period that admitted the call.
    fn settle(&mut self, call: usize, report: Report) {
        let Call { ticket, began, period } = self.calls.remove(call);
        let before = self.machine.snapshot(self.now);
        let has_lapsed = before.state() != self.machine.state();
        let is_probe = before.state() == State::HalfOpen;
        let now = self.now;
        self.machine.settle(|| now, ticket, began, report);
        if period != self.period || has_lapsed {
            assert_eq!(self.machine.snapshot(now), before, "stale: {:?}", self.history);
        } else if is_probe && report == Report::Success {
            self.successes += 1;
        }
    }

    fn notice_changes(&mut self) {
        let changes: Vec<_> = self.machine.take_changes().collect();
        #[cfg(feature = "metrics")]
        for change in &changes {
            assert!(crate::metrics::index(change).is_some(), "metrics do not know {change:?}");
        }
        if !changes.is_empty() {
            self.new_period();
        }
    }

    fn new_period(&mut self) {
        self.period += 1;
        self.successes = 0;
    }

    fn assert_no_more_probes_than_permitted(&self) {
        if self.machine.state() == State::HalfOpen {
            let probes = self.calls.iter().filter(|call| call.period == self.period).count() as u64;
            let most = u64::from(PROBES);
            assert!(probes + self.successes <= most, "over-admission: {:?}", self.history);
        }
    }

    /// Whatever hangs now, a call is admitted in time, and closed can be reached.
    fn assert_not_wedged(&self) {
        let mut machine = self.machine.clone();
        let mut now = self.now;
        machine.resume(now);
        now += PROBE_TIMEOUT + WAIT;
        for _ in 0..=PROBES {
            let Ok(Admission::Closed(ticket) | Admission::Probe(ticket)) = machine.acquire(now)
            else {
                panic!("wedged: {:?}", self.history);
            };
            machine.settle(|| now, ticket, now, Report::Success);
        }
        assert_eq!(machine.state(), State::Closed, "closed is out of reach: {:?}", self.history);
    }
}

fn explore(world: &World, depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    world.steps().into_iter().map(|step| explore(&world.after(step), depth - 1)).sum()
}

fn rules(half_open: ProbeRule, window: SlidingWindow) -> Rules {
    Rules {
        consecutive_failures: Some(2),
        failure_rate: Some(1.0),
        slow_call_rate: Some(1.0),
        slow_call_duration: Some(2 * UNIT),
        window: Some(window),
        minimum_calls: 2,
        open_duration: Backoff::constant(Duration::from_nanos(WAIT)),
        half_open,
        probe_timeout: PROBE_TIMEOUT,
        abandoned_after: Some(UNIT),
        max_retry_after: UNIT,
        trip_on_retry_after: false,
    }
}

#[test]
fn the_promises_hold_in_every_history_of_a_small_circuit() {
    let depth = std::env::var("EXHAUSTIVE_DEPTH").map_or(5, |depth| depth.parse().unwrap());
    let time = SlidingWindow::time(Duration::from_nanos(3 * UNIT)).buckets(3);
    for rule in [ProbeRule::ConsecutiveSuccesses(PROBES), ProbeRule::Sample(PROBES)] {
        for window in [SlidingWindow::count(2), time] {
            let closed = World::new(rules(rule, window));
            let mut half_open = World::new(rules(rule, window));
            for step in [Step::Acquire, Step::Acquire, Step::ForceOpen, Step::Resume] {
                half_open = half_open.after(step);
            }
            assert!(explore(&closed, depth) > 8_u64.pow(depth));
            assert!(explore(&half_open, depth) > 8_u64.pow(depth));
        }
    }
}
