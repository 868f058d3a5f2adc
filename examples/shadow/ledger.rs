//! A listener that counts what the breaker does, and what it would have done.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tower_breaker::{Cause, Ending, Event, EventKind, Settled, State, Transition};

use crate::clock::{At, Clock, lengthened};
use crate::report;

/// Calls that were made, by how they ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Calls {
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
    /// How long callers waited for the calls that failed.
    pub(crate) in_vain: Duration,
}

/// What happened during a stage of the introduction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) admitted: Calls,
    /// Calls that the circuit turned away and that were made all the same.
    pub(crate) shadow: Calls,
    pub(crate) rejected: u32,
}

/// What followed from a trip of the circuit, until it was closed again.
#[derive(Clone)]
pub(crate) struct Opening {
    pub(crate) at: At,
    pub(crate) stage: usize,
    pub(crate) cause: Cause,
    pub(crate) shadow: Calls,
    pub(crate) rejected: u32,
}

#[derive(Clone)]
pub(crate) struct Ledger {
    clock: Clock,
    pages: Arc<Mutex<Pages>>,
}

#[derive(Clone, Default)]
pub(crate) struct Pages {
    /// One for each stage that has begun.
    pub(crate) stages: Vec<Counts>,
    pub(crate) openings: Vec<Opening>,
    /// How often the settings have changed.
    pub(crate) reconfigured: u32,
}

impl Ledger {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, pages: Arc::default() }
    }

    pub(crate) fn begin_stage(&self) {
        self.pages().stages.push(Counts::default());
    }

    pub(crate) fn read(&self) -> Pages {
        self.pages().clone()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().expect("nothing panics while it holds the lock")
    }

    pub(crate) fn on_event(&self, event: &Event<'_>) {
        match event.kind() {
            EventKind::Settled(settled) => self.pages().settled(&settled),
            EventKind::Rejected(_) => self.pages().rejected(),
            EventKind::Transition(transition) => {
                let at = self.clock.now();
                self.pages().transition(at, transition);
                report::transition(at, transition);
            }
            EventKind::OperatorAction(action) => {
                report::line(self.clock.now(), format_args!("operator: {action}"));
            }
            EventKind::Reconfigured(reconfiguration) => {
                self.pages().reconfigured += 1;
                report::line(self.clock.now(), reconfiguration);
            }
            _ => {}
        }
    }
}

impl Pages {
    fn settled(&mut self, settled: &Settled) {
        let Some(stage) = self.stages.last_mut() else { return };
        if settled.is_shadow() {
            stage.shadow.add(settled);
            if let Some(opening) = self.openings.last_mut() {
                opening.shadow.add(settled);
            }
        } else {
            stage.admitted.add(settled);
        }
    }

    fn rejected(&mut self) {
        let Some(stage) = self.stages.last_mut() else { return };
        stage.rejected += 1;
        if let Some(opening) = self.openings.last_mut() {
            opening.rejected += 1;
        }
    }

    fn transition(&mut self, at: At, transition: &Transition) {
        if (transition.from(), transition.to()) == (State::Closed, State::Open) {
            self.openings.push(Opening {
                at,
                stage: self.stages.len() - 1,
                cause: transition.cause(),
                shadow: Calls::default(),
                rejected: 0,
            });
        }
    }
}

impl Calls {
    fn add(&mut self, settled: &Settled) {
        match settled.ending() {
            Ending::Success => self.succeeded += 1,
            _ => {
                self.failed += 1;
                // Calls are timed because the listener wants all events.
                self.in_vain += lengthened(settled.duration().unwrap_or_default());
            }
        }
    }

    pub(crate) fn all(&self) -> u32 {
        self.succeeded + self.failed
    }
}

impl Counts {
    pub(crate) fn calls(&self) -> u32 {
        self.admitted.all() + self.shadow.all() + self.rejected
    }

    pub(crate) fn in_vain(&self) -> Duration {
        self.admitted.in_vain + self.shadow.in_vain
    }
}
