//! What happened in a run, one line per step. It is printed when a run fails.

use std::fmt;
use std::time::Duration;

use tower_breaker::State;

use crate::both::duration;
use crate::ops::Op;
use crate::reference::{Ending, Refusal};
use crate::settings::Nanos;

#[derive(Default)]
pub(crate) struct Story(Vec<Step>);

struct Step {
    at: Nanos,
    op: Op,
    events: [Option<Event>; 2],
    /// The state of the model after the step, or `None` for a step that was not finished.
    state: Option<State>,
}

#[derive(Clone, Copy)]
pub(crate) enum Event {
    Admitted(usize),
    Rejected(Refusal),
    LetThrough(Refusal),
    Ended(usize, Ending),
    Passed(Duration),
}

impl Story {
    pub(crate) fn begin(&mut self, at: Nanos, op: Op) {
        self.0.push(Step { at, op, events: [None; 2], state: None });
    }

    /// Adds an event to the current step.
    pub(crate) fn add(&mut self, event: Event) {
        let step = self.0.last_mut().expect("a step has begun");
        let free = step.events.iter_mut().find(|event| event.is_none());
        *free.expect("a step has at most two events") = Some(event);
    }

    pub(crate) fn end(&mut self, state: State) {
        let step = self.0.last_mut().expect("a step has begun");
        step.state = Some(state);
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Step { at, op, events, state }) in self.0.iter().enumerate() {
            let (at, op) = (format!("{:?}", duration(*at)), format!("{op:?}"));
            write!(f, "{number:>5}  {at:>12}  {op:<42}")?;
            for event in events.iter().flatten() {
                write!(f, " {event};")?;
            }
            match state {
                Some(state) => writeln!(f, " {state}")?,
                None => writeln!(f, " here the circuit and the model differ")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted(call) => write!(f, "call {call} is admitted"),
            Self::Rejected(Refusal { reason, .. }) => write!(f, "rejected, {reason:?}"),
            Self::LetThrough(Refusal { reason, .. }) => write!(f, "let through, {reason:?}"),
            Self::Ended(usize::MAX, ending) => write!(f, "a shadow call ends, {ending:?}"),
            Self::Ended(call, ending) => write!(f, "call {call} ends, {ending:?}"),
            Self::Passed(time) => write!(f, "{time:?} pass"),
        }
    }
}
