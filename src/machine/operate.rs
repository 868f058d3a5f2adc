//! What operators do to a circuit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Machine, NEVER, Occurrence, Phase, Refusal, Rules, State, Tally, Tick, nanos};

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
    /// [`CircuitBreaker::force_open_for`](crate::CircuitBreaker::force_open_for).
    ForceOpenFor {
        /// After how long the circuit is resumed.
        duration: Duration,
    },
    /// [`CircuitBreaker::force_closed`](crate::CircuitBreaker::force_closed).
    ForceClosed,
    /// [`CircuitBreaker::force_closed_for`](crate::CircuitBreaker::force_closed_for).
    ForceClosedFor {
        /// After how long the circuit is resumed.
        duration: Duration,
    },
    /// [`CircuitBreaker::resume`](crate::CircuitBreaker::resume).
    Resume,
    /// [`CircuitBreaker::suspect`](crate::CircuitBreaker::suspect).
    Suspect {
        /// For how long the circuit is suspected at least.
        duration: Duration,
    },
    /// [`CircuitBreaker::set_enforcement`](crate::CircuitBreaker::set_enforcement).
    SetEnforcement {
        /// The share of rejections that are enforced from now on, from 0.0 to 1.0.
        share: f64,
    },
}

impl fmt::Display for OperatorAction {
    /// Prints the name of the method, and its argument if it has one: `trip`, `set_enforcement(0.25)`,
    /// `force_open_for(600s)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trip => "trip",
            Self::Reset => "reset",
            Self::ForceOpen => "force_open",
            Self::ForceOpenFor { duration } => {
                return f.pad(&format!("force_open_for({duration:?})"));
            }
            Self::ForceClosed => "force_closed",
            Self::ForceClosedFor { duration } => {
                return f.pad(&format!("force_closed_for({duration:?})"));
            }
            Self::Resume => "resume",
            Self::Suspect { duration } => return f.pad(&format!("suspect({duration:?})")),
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
            OperatorAction::ForceOpen => self.force_open(NEVER),
            OperatorAction::ForceOpenFor { duration } => self.force_open(self.force_end(duration)),
            OperatorAction::ForceClosed => self.force_closed(NEVER),
            OperatorAction::ForceClosedFor { duration } => {
                self.force_closed(self.force_end(duration));
            }
            OperatorAction::Resume => self.resume(self.now),
            OperatorAction::Suspect { duration } => self.suspect(duration),
            OperatorAction::SetEnforcement { share } => {
                let rules = Rules { enforcement: share, ..**self.settings() };
                self.set_rules(Arc::new(rules));
            }
        }
        self.find_next_end();
    }

    fn trip(&mut self) {
        let is_waiting = matches!(self.phase, Phase::Open { until, .. } if self.now < until);
        if !self.is_forced() && !is_waiting {
            self.enter_open(self.now, self.tally(self.now), Cause::Trip);
        }
    }

    fn reset(&mut self) {
        self.end_suspicion();
        match &mut self.phase {
            Phase::Open { tally, .. } if self.forced.is_some() => {
                *tally = Tally::default();
                self.attempts = 0;
                self.late_success = 0;
            }
            _ => self.enter_closed(self.now, Cause::Reset),
        }
    }

    /// Returns when a force ends that begins now. An end that a [`Refusal`] cannot tell is never, so that every answer
    /// is the same.
    fn force_end(&self, duration: Duration) -> Tick {
        Refusal::forced_open(self.now.saturating_add(nanos(duration))).until().unwrap_or(NEVER)
    }

    fn force_open(&mut self, until: Tick) {
        let is_forced_open = self.is_forced() && self.state() == State::Open;
        self.forced = Some(until);
        if !is_forced_open {
            let tally = self.tally(self.now);
            self.forget_attempts(self.now);
            self.enter(Phase::Open { until: self.now, tally }, self.now, Cause::ForceOpen, None);
        }
    }

    fn force_closed(&mut self, until: Tick) {
        self.closed_time.stop(self.now);
        self.forced = Some(until);
        if self.state() != State::Closed {
            self.enter_closed(self.now, Cause::ForceClosed);
        }
    }

    fn resume(&mut self, at: Tick) {
        if self.forced.take().is_some() {
            if self.state() == State::Open {
                self.enter_half_open(at, Cause::Resume);
            } else {
                self.closed_time.resume(at);
            }
        }
    }

    /// Resumes if an operator has held the circuit for a time that is over. It was over at its end, not now.
    pub(super) fn end_force(&mut self) {
        if let Some(until) = self.forced.filter(|until| self.now >= *until) {
            self.resume(until);
        }
    }
}
