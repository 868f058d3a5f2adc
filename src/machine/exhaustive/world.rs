//! A small circuit, its callers and its operators.

mod key;
mod suspected;

use std::sync::Arc;

use super::super::overdue::InFlight;
use super::super::*;
use super::steps::*;

const MOST_CALLS: usize = 4;

/// A time window holds any number of calls, so there would be infinitely many worlds without this limit.
const MOST_COUNTED: u64 = 3;

#[derive(Clone)]
pub(super) struct World {
    machine: Machine,
    now: Tick,
    calls: Vec<Call>,
    most_calls: usize,
    may_be_suspected: bool,
    /// The settings that an operator may change to, the present ones among them.
    all_rules: Vec<Arc<Rules>>,
    /// The settings were changed in this period, so there may be more probes than the present ones permit.
    rules_changed: bool,
    /// The number of the current state period, counted independently of the machine.
    period: u32,
    /// How many probes have reported a success in this period.
    successes: u64,
    /// While the circuit recovers: when that began, the sum of the shares of all calls that asked, and how many of
    /// them were admitted. One is `10 * RAMP`.
    ramp: Option<(Tick, Nanos, Nanos)>,
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
    /// Since when calls in flight were watched when the call began.
    grid: Option<Tick>,
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
            may_be_suspected: true,
            period: 0,
            successes: 0,
            ramp: None,
            history: Vec::new(),
            changes: Vec::new(),
            fault,
        }
    }

    /// Returns the same world with fewer calls at a time.
    pub(super) fn with_calls(self, most_calls: usize) -> Self {
        Self { most_calls, ..self }
    }

    /// Returns the same world without anybody who suspects the circuit.
    pub(super) fn without_suspicion(self) -> Self {
        Self { may_be_suspected: false, ..self }
    }

    /// Returns the same world with operators who change the settings to these and back.
    pub(super) fn with_other_rules(self, others: &Rules) -> Self {
        let all_rules = vec![self.machine.rules.clone(), Arc::new(*others)];
        Self { all_rules, ..self }
    }

    /// Returns everything that can happen next. A call hangs if nothing happens to it.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = [&STEPS_OF_TIME[..], &ACTIONS].concat();
        if self.may_be_suspected {
            steps.push(SUSPECT);
        }
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
        world.machine.find_overdue_calls(now, 0, |_| 0);
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
            Step::Operate(action @ OperatorAction::Suspect { .. }) => {
                world.change_rules(|machine| machine.operate(action, now))?;
            }
            Step::Operate(action) => {
                world.machine.operate(action, now);
                if action == OperatorAction::Reset {
                    world.new_period();
                }
            }
        }
        world.notice_changes();
        world.check_calls_in_flight()?;
        world.check_probes()?;
        world.check_suspicion()?;
        world.check_not_stuck()?;
        Ok(world)
    }

    fn acquire(&mut self, stage: Stage) -> Result<(), String> {
        let now = self.now;
        let admitted = self.machine.acquire(now);
        self.notice_changes();
        self.check_ramp(admitted)?;
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
        let Ok(admission) = admitted else { return Ok(()) };
        if matches!(admission, Admission::Closed(_)) && stage != Stage::Called {
            return Ok(());
        }
        let began = match stage {
            Stage::Called => self.machine.begin_call(admission, now),
            Stage::Waiting | Stage::Ready => now,
        };
        let ticket = admission.ticket();
        self.calls.push(Call {
            ticket,
            began,
            period: self.period,
            stage,
            grid: self.machine.deadlines().map(|(_, start)| start),
            deadline: self.machine.probes.deadline(ticket),
        });
        Ok(())
    }

    /// Checks that no more calls are admitted than one and the sum of the shares, and no fewer.
    fn check_ramp(&mut self, admitted: Result<Admission, Refusal>) -> Result<(), String> {
        let Some((began, sum, calls)) = &mut self.ramp else { return Ok(()) };
        *sum += (10 * (self.now - *began).min(RAMP)).max(RAMP);
        *calls += u64::from(admitted.is_ok());
        let may_be_admitted = 1 + *sum / (10 * RAMP);
        if *calls == may_be_admitted {
            return Ok(());
        }
        Err(format!("{calls} calls instead of {may_be_admitted} in a ramp: {:?}", self.history))
    }

    fn reconfigure(&mut self, index: usize) -> Result<(), String> {
        let (rules, now) = (self.all_rules[index].clone(), self.now);
        self.change_rules(|machine| _ = machine.reconfigure(rules, None, now))?;
        self.rules_changed = true;
        Ok(())
    }

    /// Changes the rules that the circuit goes by. Checks that this decides nothing.
    fn change_rules(&mut self, change: impl FnOnce(&mut Machine)) -> Result<(), String> {
        let before = self.machine.view(self.now);
        change(&mut self.machine);
        self.notice_changes();
        let after = self.machine.view(self.now);
        let kept = |view: &View| (view.state, view.forced, view.attempts, view.probes_in_flight);
        let is_longer = after.state == State::Open && after.retry_after > before.retry_after;
        if kept(&before) != kept(&after) || is_longer {
            return Err(format!("a change of the rules had an effect: {:?}", self.history));
        }
        Ok(())
    }

    /// Begins the call of a slot. If the slot has expired, there is no call.
    fn begin(&mut self, index: usize) {
        let Call { ticket, .. } = self.calls[index];
        if let Some(began) = self.machine.begin_reserved(self.now, ticket) {
            let deadline = self.machine.probes.deadline(ticket);
            let call = &mut self.calls[index];
            (call.stage, call.began, call.deadline) = (Stage::Called, began, deadline);
            call.grid = self.machine.deadlines().map(|(_, start)| start);
        } else {
            self.calls.remove(index);
        }
    }

    /// Settles a call. Checks that a late result decides nothing.
    fn settle(&mut self, call: usize, report: Report) -> Result<(), String> {
        let Call { mut ticket, began, period, stage, deadline, .. } = self.calls.remove(call);
        let before = self.machine.view(self.now);
        let has_changed = before.state != self.machine.state();
        let has_expired = deadline.is_some_and(|deadline| deadline <= self.now);
        let is_stale = period != self.period || has_changed || has_expired;
        let is_probe = before.state == State::HalfOpen && !before.is_recovering();
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
        if stage == Stage::Called && self.fault != Some(Fault::CallsNeverLeave) {
            self.machine.leave(ticket, began);
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
            match occurrence {
                // The period goes on.
                Occurrence::Changed(change) if change.cause == Cause::RampCompleted => {
                    self.changes.push(*change);
                    self.ramp = None;
                }
                Occurrence::Changed(change) => {
                    self.changes.push(*change);
                    self.period += 1;
                    (self.successes, self.ramp, self.rules_changed) = (0, None, false);
                }
                Occurrence::Recovering { .. } => {
                    self.period += 1;
                    let began = self.machine.ramp.map(|ramp| ramp.began);
                    self.successes = 0;
                    self.ramp = began.map(|began| (began, 0, 0));
                }
                _ => {}
            }
        }
        self.machine.clear_occurrences();
        if let (Some(Fault::OpenForEver), Phase::Open { until, .. }) =
            (self.fault, &mut self.machine.phase)
        {
            *until = Tick::MAX;
        }
        if let (Some(Fault::SuspectedForEver), Some(it)) = (self.fault, &mut self.machine.suspicion)
        {
            it.until = Tick::MAX;
        }
        if let (Some(Fault::ForcedForEver), Some(until)) = (self.fault, &mut self.machine.forced) {
            *until = (*until).max(Tick::MAX - 1);
        }
    }

    /// Checks that the calls of this period are in flight, and that those hang whose time has passed.
    fn check_calls_in_flight(&mut self) -> Result<(), String> {
        self.machine.find_overdue_calls(self.now, 0, |_| 0);
        let Some(InFlight { calls, hung, .. }) = self.machine.in_flight() else { return Ok(()) };
        let is_open = |call: &&Call| {
            let ticket = self.machine.closed_ticket();
            let grid = self.machine.deadlines().map(|(_, start)| start);
            call.stage == Stage::Called && ticket == Some(call.ticket) && call.grid == grid
        };
        // All of time passes in whole quarters.
        let is_hung =
            |call: &&Call| self.now.saturating_sub(call.began) >= HUNG_AFTER + HUNG_AFTER / 4;
        let expected = self.calls.iter().filter(is_open).count() as u64;
        let expected_hung = self.calls.iter().filter(is_open).filter(is_hung).count() as u64;
        if (calls, hung) == (expected, expected_hung) {
            return Ok(());
        }
        Err(format!("{calls} calls in flight, of which {hung} hang: {:?}", self.history))
    }

    fn new_period(&mut self) {
        self.period += 1;
        self.successes = 0;
    }

    /// Checks that there are not too many probes. A caller that is ready but does not call is not a probe, because
    /// its slot yields to others.
    fn check_probes(&self) -> Result<(), String> {
        let permitted = u64::from(self.machine.rules.half_open.probes());
        let is_half_open = self.machine.state() == State::HalfOpen && self.ramp.is_none();
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
    /// the open wait, or after it was forced for a time, and the closed state can be reached, in the time of a ramp more
    /// if there is one.
    fn check_not_stuck(&self) -> Result<(), String> {
        let mut machine = self.machine.clone();
        let mut now = self.now;
        if machine.forced == Some(NEVER) {
            machine.operate(OperatorAction::Resume, now);
        }
        now += FORCE + 2 * machine.probe_time() + LONGEST_WAIT;
        for _ in 0..PROBES + 4 {
            machine.find_overdue_calls(now, 0, |_| 0);
            match machine.acquire(now) {
                Ok(admission) => {
                    machine.settle(|| now, admission.ticket(), now, Report::Success);
                }
                Err(refusal) if refusal.reason() == RejectReason::Recovering => now += RAMP,
                // Calls that hang may open a closed circuit, once.
                Err(_) if machine.since == now && machine.state() == State::Open => {
                    now += LONGEST_WAIT + 3 * UNIT;
                }
                Err(_) => return Err(format!("stuck: {:?}", self.history)),
            }
        }
        match machine.state() {
            State::Closed => Ok(()),
            _ => Err(format!("the closed state cannot be reached: {:?}", self.history)),
        }
    }
}
