//! Suspicion: a circuit that has been told of trouble judges its own calls more strictly for some time.

use std::sync::Arc;
use std::time::Duration;

use super::Machine;
use super::rules::Rules;
use super::time::{NEVER, Nanos, Tick, nanos};

/// While there is one, the machine goes by stricter rules than those that were set.
#[derive(Debug, Clone)]
pub(super) struct Suspicion {
    pub(super) until: Tick,
    /// The rules that were set.
    settings: Arc<Rules>,
}

impl Rules {
    /// Returns what a suspected circuit goes by. Whatever trips by these rules needs fewer calls, and whatever trips
    /// by the others trips by these as well.
    pub(super) fn when_suspected(&self) -> Self {
        Self {
            consecutive_failures: self.consecutive_failures.map(|limit| limit.div_ceil(2)),
            minimum_calls: self.minimum_calls.div_ceil(4),
            ..*self
        }
    }
}

impl Machine {
    /// Suspects the circuit from now on, for this long at least. Nothing trips by this: the next result is judged by
    /// the stricter rules.
    pub(super) fn suspect(&mut self, duration: Duration) {
        let until = self.now.saturating_add(nanos(duration));
        if until <= self.now {
            return;
        }
        match &mut self.suspicion {
            Some(suspicion) => suspicion.until = suspicion.until.max(until),
            None => {
                let stricter = Arc::new(self.rules.when_suspected());
                let settings = std::mem::replace(&mut self.rules, stricter);
                self.suspicion = Some(Suspicion { until, settings });
            }
        }
        self.find_next_end();
    }

    pub(super) fn end_suspicion(&mut self) {
        if let Some(suspicion) = self.suspicion.take() {
            self.rules = suspicion.settings;
            self.find_next_end();
        }
    }

    /// Returns for how long the circuit is suspected from `now` on, if it is.
    pub(super) fn suspected_for(&self, now: Tick) -> Option<Nanos> {
        self.suspicion.as_ref().map(|suspicion| suspicion.until.saturating_sub(now))
    }

    /// Returns the rules that were set. While the circuit is suspected, it goes by stricter ones.
    pub(crate) fn settings(&self) -> &Arc<Rules> {
        self.suspicion.as_ref().map_or(&self.rules, |suspicion| &suspicion.settings)
    }

    /// Replaces the rules that were set. Returns the former ones.
    pub(super) fn set_rules(&mut self, rules: Arc<Rules>) -> Arc<Rules> {
        match &mut self.suspicion {
            None => std::mem::replace(&mut self.rules, rules),
            Some(suspicion) => {
                self.rules = Arc::new(rules.when_suspected());
                std::mem::replace(&mut suspicion.settings, rules)
            }
        }
    }

    // ---- what lasts for a time ------------------------------------------------------------------

    /// Ends what has lasted for its time: what an operator has forced, and a suspicion.
    #[cold]
    pub(super) fn end_what_is_over(&mut self) {
        self.end_force();
        if self.suspicion.as_ref().is_some_and(|suspicion| self.now >= suspicion.until) {
            self.end_suspicion();
        }
        self.find_next_end();
    }

    /// Notes when the first of them ends. This is one number, so that a result compares the time once.
    pub(super) fn find_next_end(&mut self) {
        let suspected_until = self.suspicion.as_ref().map_or(NEVER, |suspicion| suspicion.until);
        self.next_end = self.forced.unwrap_or(NEVER).min(suspected_until);
    }
}
