//! A small circuit, its callers and its operators.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::super::*;
use super::steps::*;

const MOST_CALLS: usize = 4;

/// A time window holds any number of calls, so there would be infinitely many worlds without this limit.
const MOST_COUNTED: u64 = 3;

/// Most rules do not ask whether something is longer ago than this.
const LONG: Nanos = 4 * UNIT;

/// A probe that takes longer than this to succeed extends the time of later probes no further.
const LATEST_SUCCESS: Nanos = 5 * PROBE_TIMEOUT;

#[derive(Clone)]
pub(super) struct World {
    machine: Machine,
    now: Tick,
    calls: Vec<Call>,
    most_calls: usize,
    /// The settings that an operator may change to, the present ones among them.
    all_rules: Vec<Arc<Rules>>,
    /// The settings were changed in this period, so there may be more probes than the present ones permit.
    rules_changed: bool,
    /// The number of the current state period, counted independently of the machine.
    period: u32,
    /// How many probes have reported a success in this period.
    successes: u64,
    history: Vec<Step>,
    /// The changes of state in the latest step.
    pub(super) changes: Vec<Change>,
    fault: Option<Fault>,
}

#[derive(Clone, Copy)]
struct Call {
    ticket: Ticket,
    began: Tick,
    period: u32,
    stage: Stage,
    /// When the call expires, if it is a probe.
    deadline: Option<Tick>,
}

#[derive(Clone, Copy, PartialEq, Hash, PartialOrd, Eq, Ord)]
enum Stage {
    /// A probe slot whose holder waits for the inner service.
    Waiting,
    /// A probe slot whose holder could call, and does not.
    Ready,
    Called,
}

impl World {
    pub(super) fn new(rules: &Rules, fault: Option<Fault>) -> Self {
        let now = 1 << 40;
        Self {
            machine: Machine::new(*rules, 0, 0, now),
            all_rules: Vec::new(),
            rules_changed: false,
            now,
            calls: Vec::new(),
            most_calls: MOST_CALLS,
            period: 0,
            successes: 0,
            history: Vec::new(),
            changes: Vec::new(),
            fault,
        }
    }

    /// Returns the same world with fewer calls at a time.
    pub(super) fn with_calls(self, most_calls: usize) -> Self {
        Self { most_calls, ..self }
    }

    /// Returns the same world with operators who change the settings to these and back.
    pub(super) fn with_other_rules(self, others: &Rules) -> Self {
        let all_rules = vec![self.machine.rules.clone(), Arc::new(*others)];
        Self { all_rules, ..self }
    }

    /// Returns everything that can happen next. A call hangs if nothing happens to it.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = [&STEPS_OF_TIME[..], &ACTIONS].concat();
        steps.extend((0..self.all_rules.len()).map(Step::Reconfigure));
        if self.calls.len() < self.most_calls {
            steps.extend([Step::Acquire, Step::Reserve]);
        }
        let counted = self.machine.window.as_ref().map_or(0, |window| window.counts().calls);
        let is_full =
            matches!(self.machine.window, Some(Window::Time(_))) && counted >= MOST_COUNTED;
        for (index, call) in self.calls.iter().enumerate() {
            match call.stage {
                Stage::Called => {
                    let reports = if is_full { &REPORTS[COUNTED..] } else { &REPORTS };
                    steps.extend(reports.iter().map(|report| Step::Settle(index, *report)));
                }
                Stage::Waiting => {
                    steps.extend([Step::SetReady(index), Step::Settle(index, Report::Ignored)]);
                }
                Stage::Ready => {
                    steps.extend([Step::Begin(index), Step::Settle(index, Report::Ignored)]);
                }
            }
        }
        steps
    }

    /// Returns the world after a step, or the guarantee that the step breaks.
    pub(super) fn after(&self, step: Step) -> Result<Self, String> {
        let mut world = self.clone();
        world.changes.clear();
        world.history.push(step);
        let now = world.now;
        match step {
            Step::Acquire => world.acquire(Stage::Called)?,
            Step::Reserve => world.acquire(Stage::Waiting)?,
            Step::SetReady(call) => {
                world.machine.slot_is_ready(now, world.calls[call].ticket);
                world.calls[call].stage = Stage::Ready;
            }
            Step::Begin(call) => world.begin(call),
            Step::Settle(call, report) => world.settle(call, report)?,
            Step::Pass(time) => world.now += time,
            Step::Reconfigure(index) => world.reconfigure(index)?,
            Step::Operate(action) => {
                world.machine.operate(action, now);
                if action == OperatorAction::Reset {
                    world.new_period();
                }
            }
        }
        world.notice_changes();
        world.check_probes()?;
        world.check_not_stuck()?;
        Ok(world)
    }

    fn acquire(&mut self, stage: Stage) -> Result<(), String> {
        let now = self.now;
        let admitted = self.machine.acquire(now);
        self.notice_changes();
        let is_live = |call: &&Call| call.deadline.is_some_and(|deadline| deadline > now);
        let others = self.probes().filter(is_live).count() as u64;
        let permitted = u64::from(self.machine.rules.half_open.probes());
        let is_probe = matches!(admitted, Ok(Admission::Probe(_)));
        if is_probe && others > 0 && others + self.successes >= permitted {
            return Err(format!("too many probes: {:?}", self.history));
        }
        match (self.fault, admitted) {
            (Some(Fault::ProbesNeverExpire), Ok(Admission::Probe(ticket))) => {
                self.machine.probes.begin(ticket, Tick::MAX);
            }
            (Some(Fault::TwoInOneSlot), Ok(Admission::Probe(ticket))) => {
                self.machine.probes.remove(ticket);
            }
            _ => {}
        }
        let call = |ticket, stage, deadline| Call {
            ticket,
            began: now,
            period: self.period,
            stage,
            deadline,
        };
        match admitted {
            Ok(Admission::Probe(ticket)) => {
                let deadline = self.machine.probes.deadline(ticket);
                self.calls.push(call(ticket, stage, deadline));
            }
            Ok(Admission::Closed(ticket)) if stage == Stage::Called => {
                self.calls.push(call(ticket, stage, None));
            }
            _ => {}
        }
        Ok(())
    }

    /// Changes the settings. Checks that this decides nothing.
    fn reconfigure(&mut self, index: usize) -> Result<(), String> {
        let before = self.machine.view(self.now);
        self.machine.reconfigure(self.all_rules[index].clone(), None, self.now);
        self.notice_changes();
        self.rules_changed = true;
        let after = self.machine.view(self.now);
        let kept = |view: &View| (view.state, view.forced, view.attempts, view.probes_in_flight);
        let is_longer = after.state == State::Open && after.retry_after > before.retry_after;
        if kept(&before) != kept(&after) || is_longer {
            return Err(format!("a change of settings had an effect: {:?}", self.history));
        }
        Ok(())
    }

    /// Begins the call of a slot. If the slot has expired, there is no call.
    fn begin(&mut self, index: usize) {
        let Call { ticket, .. } = self.calls[index];
        if self.machine.begin_probe(self.now, ticket) {
            let deadline = self.machine.probes.deadline(ticket);
            let call = &mut self.calls[index];
            (call.stage, call.began, call.deadline) = (Stage::Called, self.now, deadline);
        } else {
            self.calls.remove(index);
        }
    }

    /// Settles a call. Checks that a late result decides nothing.
    fn settle(&mut self, call: usize, report: Report) -> Result<(), String> {
        let Call { mut ticket, began, period, stage, deadline } = self.calls.remove(call);
        let before = self.machine.view(self.now);
        let has_changed = before.state != self.machine.state();
        let has_expired = deadline.is_some_and(|deadline| deadline <= self.now);
        let is_stale = period != self.period || has_changed || has_expired;
        let is_probe = before.state == State::HalfOpen;
        let now = self.now;
        match self.fault {
            Some(Fault::StaleResultsCount) => {
                ticket = self.machine.closed_ticket().unwrap_or(ticket);
            }
            Some(Fault::SlotIsKept)
                if is_probe && matches!(report, Report::Ignored | Report::GivenUp) =>
            {
                self.machine.probes.begin(ticket, Tick::MAX);
                return Ok(());
            }
            _ => {}
        }
        self.machine.settle(|| now, ticket, began, report);
        if is_stale {
            if self.machine.view(now) != before {
                return Err(format!("a stale result had an effect: {:?}", self.history));
            }
        } else if is_probe && stage == Stage::Called && report == Report::Success {
            self.successes += 1;
        }
        Ok(())
    }

    fn notice_changes(&mut self) {
        for occurrence in self.machine.occurrences() {
            if let Occurrence::Changed(change) = occurrence {
                self.changes.push(*change);
                self.period += 1;
                self.successes = 0;
                self.rules_changed = false;
            }
        }
        self.machine.clear_occurrences();
        if let (Some(Fault::OpenForEver), Phase::Open { until, .. }) =
            (self.fault, &mut self.machine.phase)
        {
            *until = Tick::MAX;
        }
        if let (Some(Fault::ForcedForEver), Some(until)) = (self.fault, &mut self.machine.forced) {
            *until = (*until).max(Tick::MAX - 1);
        }
    }

    fn new_period(&mut self) {
        self.period += 1;
        self.successes = 0;
    }

    /// Checks that there are not too many probes. A caller that is ready but does not call is not a probe, because
    /// its slot yields to others.
    fn check_probes(&self) -> Result<(), String> {
        let permitted = u64::from(self.machine.rules.half_open.probes());
        let is_half_open = self.machine.state() == State::HalfOpen;
        let taken = self.probes().count() as u64 + self.successes;
        if is_half_open && !self.rules_changed && taken > permitted {
            return Err(format!("too many probes: {:?}", self.history));
        }
        Ok(())
    }

    fn probes(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|it| it.period == self.period && it.stage != Stage::Ready)
    }

    /// Checks that the circuit is not stuck: whatever hangs now, a call is admitted within twice the time of a probe plus
    /// the open wait, or after it was forced for a time, and the closed state can be reached.
    fn check_not_stuck(&self) -> Result<(), String> {
        let mut machine = self.machine.clone();
        let mut now = self.now;
        if machine.forced == Some(NEVER) {
            machine.operate(OperatorAction::Resume, now);
        }
        now += FORCE + 2 * machine.probe_time() + LONGEST_WAIT;
        for _ in 0..=PROBES {
            let Ok(Admission::Closed(ticket) | Admission::Probe(ticket)) = machine.acquire(now)
            else {
                return Err(format!("stuck: {:?}", self.history));
            };
            machine.settle(|| now, ticket, now, Report::Success);
        }
        match machine.state() {
            State::Closed => Ok(()),
            _ => Err(format!("the closed state cannot be reached: {:?}", self.history)),
        }
    }

    /// Returns what distinguishes this world from others, regardless of the time and of the values of its tickets.
    /// Two worlds with the same key have the same future.
    pub(super) fn key(&self) -> u64 {
        let Self { machine, now, .. } = self;
        let ago = |time: Tick| now.saturating_sub(time).min(LONG);
        let long_ago = |time: Tick| now.saturating_sub(time).min(LATEST_SUCCESS);
        let ahead = |time: Tick| (time.saturating_add(LONG)).saturating_sub(*now);
        let is_late_probe =
            |call: &Call| machine.closed_ticket().is_none() && call.ticket > machine.outage;
        let mut calls: Vec<_> = self
            .calls
            .iter()
            .map(|call| match machine.probes.deadline(call.ticket) {
                Some(deadline) => (call.stage, 3, ahead(deadline), long_ago(call.began)),
                None if machine.closed_ticket() == Some(call.ticket) => {
                    (call.stage, 2, 0, ago(call.began))
                }
                None if is_late_probe(call) => (call.stage, 1, 0, long_ago(call.began)),
                None => (call.stage, 0, 0, 0),
            })
            .collect();
        calls.sort_unstable();
        let phase = match &machine.phase {
            // A streak that is longer than the rule needs can grow only while the circuit is forced closed.
            Phase::Closed { streak, .. } => {
                let limit = machine.rules.consecutive_failures.unwrap_or(0);
                (0, (*streak).min(limit), Tally::default())
            }
            Phase::Open { until, .. } => (1, ahead(*until), Tally::default()),
            Phase::HalfOpen { tally } => (2, 0, *tally),
        };
        let window = machine.window.as_ref().map(|window| window.as_seen_at(*now));
        let forced = machine.forced.map(|end| if end == NEVER { NEVER } else { ahead(end) });
        let mut hasher = DefaultHasher::new();
        (calls, phase, forced, window, ago(machine.now)).hash(&mut hasher);
        (machine.probes.count(), self.successes, self.rules_changed).hash(&mut hasher);
        let rules = self.all_rules.iter().position(|rules| *rules == machine.rules);
        let closed_for = machine.closed_time.total(*now).min(LONG);
        let remembered = machine.attempts.min(machine.rules.open_duration.attempts_to_max());
        (rules, remembered, closed_for).hash(&mut hasher);
        let retry_after = machine.retry_after.wait(*now);
        (machine.late_success.min(LATEST_SUCCESS), retry_after).hash(&mut hasher);
        hasher.finish()
    }
}
