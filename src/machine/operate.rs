//! What operators do to a circuit.

use std::fmt;
use std::sync::Arc;

use super::{Cause, Machine, Occurrence, Phase, State, Tally, Tick};

/// The methods by which a circuit is operated.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum OperatorAction {
    /// [`CircuitBreaker::trip`](crate::CircuitBreaker::trip).
    Trip,
    /// [`CircuitBreaker::reset`](crate::CircuitBreaker::reset).
    Reset,
    /// [`CircuitBreaker::force_open`](crate::CircuitBreaker::force_open).
    ForceOpen,
    /// [`CircuitBreaker::force_closed`](crate::CircuitBreaker::force_closed).
    ForceClosed,
    /// [`CircuitBreaker::resume`](crate::CircuitBreaker::resume).
    Resume,
    /// [`CircuitBreaker::set_enforcement`](crate::CircuitBreaker::set_enforcement).
    SetEnforcement {
        /// The share of rejections that are enforced from now on, from 0.0 to 1.0.
        share: f64,
    },
}

impl fmt::Display for OperatorAction {
    /// Prints the name of the method, and its argument if it has one: `trip`, `set_enforcement(0.25)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trip => "trip",
            Self::Reset => "reset",
            Self::ForceOpen => "force_open",
            Self::ForceClosed => "force_closed",
            Self::Resume => "resume",
            Self::SetEnforcement { share } => return f.pad(&format!("set_enforcement({share})")),
        })
    }
}

impl Machine {
    pub(crate) fn operate(&mut self, action: OperatorAction, now: Tick) {
        self.advance(now);
        self.occurrences.push(Occurrence::Operated(action));
        match action {
            OperatorAction::Trip => self.trip(),
            OperatorAction::Reset => self.reset(),
            OperatorAction::ForceOpen => self.force_open(),
            OperatorAction::ForceClosed => self.force_closed(),
            OperatorAction::Resume => self.resume(),
            OperatorAction::SetEnforcement { share } => {
                Arc::make_mut(&mut self.rules).enforcement = share;
            }
        }
    }

    fn trip(&mut self) {
        let is_waiting = self.open_until().is_some_and(|until| self.now < until);
        if !self.forced && !is_waiting {
            self.enter_open(self.now, self.tally(self.now), Cause::Trip);
        }
    }

    fn reset(&mut self) {
        match &mut self.phase {
            Phase::Open { tally, .. } if self.forced => {
                *tally = Tally::default();
                self.attempts = 0;
                self.late_success = 0;
            }
            _ => self.enter_closed(self.now, Cause::Reset),
        }
    }

    fn force_open(&mut self) {
        if !(self.forced && self.state() == State::Open) {
            let tally = self.tally(self.now);
            self.forget_attempts(self.now);
            self.forced = true;
            self.enter(Phase::Open { until: self.now, tally }, self.now, Cause::ForceOpen, None);
        }
    }

    fn force_closed(&mut self) {
        self.closed_time.stop(self.now);
        self.forced = true;
        if self.state() != State::Closed {
            self.enter_closed(self.now, Cause::ForceClosed);
        }
    }

    fn resume(&mut self) {
        if self.forced {
            self.forced = false;
            if self.state() == State::Open {
                self.enter_half_open(Cause::Resume);
            } else {
                self.closed_time.resume(self.now);
            }
        }
    }
}
