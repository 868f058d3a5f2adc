//! A small circuit and all who use it.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::*;

pub(super) const UNIT: Nanos = 1_000;
pub(super) const WAIT: Nanos = 2 * UNIT;
pub(super) const PROBE_TIMEOUT: Nanos = 3 * UNIT;
pub(super) const PROBES: u32 = 2;
const MOST_CALLS: usize = 4;

/// A time window holds any number of calls, so there would be no end of worlds.
const MOST_COUNTED: u64 = 3;

/// No rule of the circuit asks whether anything is longer ago.
const LONG: Nanos = 4 * UNIT;

#[derive(Clone)]
pub(super) struct World {
    machine: Machine,
    now: Tick,
    calls: Vec<Call>,
    /// Counts the state periods, from outside.
    period: u32,
    /// How many probes have reported a success in this period.
    successes: u64,
    history: Vec<Step>,
    /// What the latest step has changed.
    pub(super) changes: Vec<Change>,
    fault: Option<Fault>,
}

#[derive(Clone, Copy)]
struct Call {
    ticket: Ticket,
    began: Tick,
    period: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    Acquire,
    Settle(usize, Report),
    Pass(Nanos),
    Operate(OperatorAction),
}

/// What a world may do wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// A stale result counts as one of the present period.
    StaleResultsCount,
    /// A probe that is dropped or ignored keeps its place.
    PlaceIsKept,
    /// A probe's time is never over.
    ProbesHaveForEver,
    /// A probe does not take its place.
    TwoInOnePlace,
    /// The wait of an open period is never over.
    OpenForEver,
}

const STEPS_OF_TIME: [Step; 2] = [Step::Pass(UNIT), Step::Pass(PROBE_TIMEOUT)];
const ACTIONS: [Step; 5] = [
    Step::Operate(OperatorAction::Trip),
    Step::Operate(OperatorAction::Reset),
    Step::Operate(OperatorAction::ForceOpen),
    Step::Operate(OperatorAction::ForceClosed),
    Step::Operate(OperatorAction::Resume),
];
/// Those that are counted first.
const REPORTS: [Report; 5] = [
    Report::Success,
    Report::Failure,
    Report::FailureRetryAfter(3 * UNIT),
    Report::Ignored,
    Report::GivenUp,
];

impl World {
    pub(super) fn new(rules: Rules, fault: Option<Fault>) -> Self {
        let now = 1 << 40;
        Self {
            machine: Machine::new(rules, 0, 0, now),
            now,
            calls: Vec::new(),
            period: 0,
            successes: 0,
            history: Vec::new(),
            changes: Vec::new(),
            fault,
        }
    }

    /// All that can happen next. A call that hangs is one to which nothing happens.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = [&STEPS_OF_TIME[..], &ACTIONS].concat();
        if self.calls.len() < MOST_CALLS {
            steps.push(Step::Acquire);
        }
        let counted = self.machine.window.as_ref().map_or(0, |window| window.counts().calls);
        let is_full =
            matches!(self.machine.window, Some(Window::Time(_))) && counted >= MOST_COUNTED;
        for call in 0..self.calls.len() {
            let reports = if is_full { &REPORTS[3..] } else { &REPORTS };
            steps.extend(reports.iter().map(|report| Step::Settle(call, *report)));
        }
        steps
    }

    /// The world after a step, or the promise that the step breaks.
    pub(super) fn after(&self, step: Step) -> Result<Self, String> {
        let mut world = self.clone();
        world.changes.clear();
        world.history.push(step);
        let now = world.now;
        match step {
            Step::Acquire => world.acquire(),
            Step::Settle(call, report) => world.settle(call, report)?,
            Step::Pass(time) => world.now += time,
            Step::Operate(action) => {
                world.machine.operate(action, now);
                if action == OperatorAction::Reset {
                    world.new_period();
                }
            }
        }
        world.notice_changes();
        world.check_probes()?;
        world.check_wedged()?;
        Ok(world)
    }

    fn acquire(&mut self) {
        let now = self.now;
        let admitted = self.machine.acquire(now);
        self.notice_changes();
        if let Ok(Admission::Closed(ticket) | Admission::Probe(ticket)) = admitted {
            self.calls.push(Call { ticket, began: now, period: self.period });
        }
        match (self.fault, admitted) {
            (Some(Fault::ProbesHaveForEver), Ok(Admission::Probe(ticket))) => {
                self.machine.probes.remove(ticket);
                self.machine.probes.admit(ticket, Tick::MAX);
            }
            (Some(Fault::TwoInOnePlace), Ok(Admission::Probe(ticket))) => {
                self.machine.probes.remove(ticket);
            }
            _ => {}
        }
    }

    /// A result decides only the period that admitted the call.
    fn settle(&mut self, call: usize, report: Report) -> Result<(), String> {
        let Call { mut ticket, began, period } = self.calls.remove(call);
        let before = self.machine.view(self.now);
        let has_expired = before.state != self.machine.state();
        let is_probe = before.state == State::HalfOpen;
        let now = self.now;
        match self.fault {
            Some(Fault::StaleResultsCount) => {
                ticket = self.machine.closed_ticket().unwrap_or(ticket);
            }
            Some(Fault::PlaceIsKept)
                if is_probe && matches!(report, Report::Ignored | Report::GivenUp) =>
            {
                self.machine.probes.remove(ticket);
                self.machine.probes.admit(ticket, Tick::MAX);
                return Ok(());
            }
            _ => {}
        }
        self.machine.settle(|| now, ticket, began, report);
        if period != self.period || has_expired {
            if self.machine.view(now) != before {
                return Err(format!("a stale result had an effect: {:?}", self.history));
            }
        } else if is_probe && report == Report::Success {
            self.successes += 1;
        }
        Ok(())
    }

    fn notice_changes(&mut self) {
        if !self.machine.changes().is_empty() {
            self.new_period();
        }
        self.changes.extend(self.machine.changes());
        self.machine.clear_changes();
        if let (Some(Fault::OpenForEver), Phase::Open { until, .. }) =
            (self.fault, &mut self.machine.phase)
        {
            *until = Tick::MAX;
        }
    }

    fn new_period(&mut self) {
        self.period += 1;
        self.successes = 0;
    }

    fn check_probes(&self) -> Result<(), String> {
        if self.machine.state() == State::HalfOpen {
            let probes = self.calls.iter().filter(|call| call.period == self.period).count() as u64;
            if probes + self.successes > u64::from(PROBES) {
                return Err(format!("too many probes: {:?}", self.history));
            }
        }
        Ok(())
    }

    /// Whatever hangs now, a call is admitted in time, and closed can be reached.
    fn check_wedged(&self) -> Result<(), String> {
        let mut machine = self.machine.clone();
        let mut now = self.now;
        machine.operate(OperatorAction::Resume, now);
        now += PROBE_TIMEOUT + WAIT;
        for _ in 0..=PROBES {
            let Ok(Admission::Closed(ticket) | Admission::Probe(ticket)) = machine.acquire(now)
            else {
                return Err(format!("wedged: {:?}", self.history));
            };
            machine.settle(|| now, ticket, now, Report::Success);
        }
        match machine.state() {
            State::Closed => Ok(()),
            _ => Err(format!("closed is out of reach: {:?}", self.history)),
        }
    }

    /// What this world is, wherever it stands in time and whatever its tickets are: two worlds with
    /// the same key have the same future.
    pub(super) fn key(&self) -> u64 {
        let Self { machine, now, .. } = self;
        let ago = |time: Tick| now.saturating_sub(time).min(LONG);
        let ahead = |time: Tick| (time.saturating_add(LONG)).saturating_sub(*now);
        let mut calls: Vec<_> = self
            .calls
            .iter()
            .map(|call| match machine.probes.deadline(call.ticket) {
                Some(deadline) => (2, ahead(deadline), ago(call.began)),
                None if machine.closed_ticket() == Some(call.ticket) => (1, 0, ago(call.began)),
                None => (0, 0, 0),
            })
            .collect();
        calls.sort_unstable();
        let phase = match &machine.phase {
            // A longer run than the rule needs can grow only while an operator holds it closed.
            Phase::Closed { streak, .. } => (
                0,
                (*streak).min(machine.rules.consecutive_failures.unwrap_or(0)),
                Tally::default(),
            ),
            Phase::Open { until, .. } => (1, ahead(*until), Tally::default()),
            Phase::HalfOpen { tally } => (2, 0, *tally),
        };
        let window = machine.window.as_ref().map(|window| window.as_seen_at(*now));
        let mut hasher = DefaultHasher::new();
        (calls, phase, machine.forced, window, ago(machine.now)).hash(&mut hasher);
        (machine.probes.count(), self.successes).hash(&mut hasher);
        hasher.finish()
    }
}
