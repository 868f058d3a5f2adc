//! [`Ramp`]: a growing share of the calls is admitted before the circuit closes.

use super::time::{Nanos, Tick};
use super::{Admission, Cause, Machine, Occurrence, Phase, Refusal, Ticket};

/// The steps in which a ramp grows for callers that wait, and one over its smallest share.
const STEPS: u64 = 10;

/// The recovery of a circuit whose probes have succeeded.
///
/// The share of calls that are admitted grows with the time since the ramp began. It goes by credit, not by chance:
/// each call that asks adds the present share, and one that brings the credit to 1 takes 1 from it and is admitted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ramp {
    pub(super) began: Tick,
    pub(super) over: Nanos,
    /// In units of 1 / (`over` * [`STEPS`]), so that every share is a whole number.
    pub(super) credit: u128,
}

impl Ramp {
    fn new(began: Tick, over: Nanos) -> Self {
        Self { began, over, credit: full(over) }
    }

    fn is_over(self, now: Tick) -> bool {
        self.end() <= now
    }

    fn end(self) -> Tick {
        self.began.saturating_add(self.over)
    }

    /// Returns the share of a call that asks now, in the units of the credit.
    fn units(self, now: Tick) -> u128 {
        let elapsed = now.saturating_sub(self.began).min(self.over);
        (u128::from(elapsed) * u128::from(STEPS)).max(self.over.into())
    }

    fn would_admit(self, now: Tick) -> bool {
        self.credit + self.units(now) >= full(self.over)
    }

    fn admit(&mut self, now: Tick) -> bool {
        let is_admitted = self.would_admit(now);
        self.credit += self.units(now);
        if is_admitted {
            self.credit -= full(self.over);
        }
        is_admitted
    }

    fn step(self) -> Nanos {
        (self.over / STEPS).max(1)
    }

    /// Returns when a call that was turned away should ask again.
    fn next_try(self, now: Tick) -> Tick {
        now.saturating_add(self.step()).min(self.end()).max(now)
    }

    /// Returns the next moment at which the share has grown by a tenth, or the ramp is over.
    fn next_step(self, now: Tick) -> Tick {
        let steps = now.saturating_sub(self.began) / self.step() + 1;
        self.began.saturating_add(steps.saturating_mul(self.step())).min(self.end())
    }
}

fn full(over: Nanos) -> u128 {
    u128::from(over) * u128::from(STEPS)
}

impl Machine {
    /// The probes have succeeded: begins the period in which the circuit closes, or closes it at once.
    pub(super) fn recover(&mut self, at: Tick) {
        let over = self.rules.ramp;
        if over == 0 {
            return self.enter_closed(at, Cause::ProbesSucceeded);
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.begin_period(Phase::Closed { ticket, streak: 0 });
        self.ramp = Some(Ramp::new(at, over));
        self.occurrences.push(Occurrence::Recovering { over });
    }

    /// Admits a call of this period, which is closed or recovering.
    pub(super) fn acquire_recovering(&mut self, ticket: Ticket) -> Result<Admission, Refusal> {
        let now = self.now;
        let Some(ramp) = &mut self.ramp else {
            return Ok(Admission::Closed(ticket));
        };
        if ramp.is_over(now) {
            self.end_ramp();
            Ok(Admission::Closed(ticket))
        } else if ramp.admit(now) {
            Ok(Admission::Recovering(ticket))
        } else {
            Err(Refusal::recovering(ramp.next_try(now)))
        }
    }

    /// Closes the circuit if it has recovered by now.
    pub(super) fn end_ramp_if_over(&mut self) {
        if self.ramp.is_some_and(|ramp| ramp.is_over(self.now)) {
            self.end_ramp();
        }
    }

    /// Closes the circuit. The period goes on, with its ticket, its window and its streak.
    fn end_ramp(&mut self) {
        let from = self.state();
        self.ramp = None;
        self.begin_closed_time(self.now);
        self.note_change(from, self.now, Cause::RampCompleted, None);
    }

    /// Returns the share of calls that are admitted at `now`, from 0.0 to 1.0.
    pub(super) fn admitted_share(&self, now: Tick) -> f64 {
        match (self.phase, self.ramp) {
            (Phase::Closed { .. }, Some(ramp)) => ramp.units(now) as f64 / full(ramp.over) as f64,
            (Phase::Closed { .. }, None) => 1.0,
            (Phase::Open { .. } | Phase::HalfOpen { .. }, _) => 0.0,
        }
    }

    /// Returns when a call that asks at `now` would be admitted, if the circuit is recovering.
    pub(super) fn next_admission(&self, now: Tick) -> Option<Tick> {
        let ramp = self.ramp?;
        let is_admitted = ramp.is_over(now) || ramp.would_admit(now);
        Some(if is_admitted { now } else { ramp.next_try(now) })
    }

    /// Returns when a caller that waits should ask again, if the circuit is recovering.
    pub(super) fn next_ramp_step(&self) -> Option<Tick> {
        self.ramp.map(|ramp| ramp.next_step(self.now))
    }
}
