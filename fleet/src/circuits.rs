//! [`Circuits`]: what an instance tells the others about its circuits, and what it does about what they say. No waiting, no
//! server.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tower_breaker::{
    Cause, CircuitBreaker, Operator, OperatorAction, Snapshot, State, WeakCircuitBreaker,
};

use crate::settings::Settings;
use crate::store::{Action, Answer, quorum};

/// The most circuits of one exchange.
pub(crate) const MOST_OF_AN_EXCHANGE: usize = 256;

/// The circuits of this process, by key.
#[derive(Debug, Default)]
pub(crate) struct Circuits {
    by_key: HashMap<Arc<str>, Entry>,
    /// The keys that are to be part of an exchange. Each is there at most once, so this is no longer than the map.
    due: VecDeque<Arc<str>>,
}

/// The circuits with one key. Usually there is one.
#[derive(Debug, Default)]
struct Entry {
    breakers: Vec<WeakCircuitBreaker>,
    is_due: bool,
    stance: Stance,
    /// Whether the store may have a vote of this instance.
    has_voted: bool,
    /// What the others say before this does not count, because the circuit has seen for itself.
    deaf_until: Option<Instant>,
}

/// What the circuits of a key have to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stance {
    #[default]
    Closed,
    /// They are neither closed nor have they seen anything lately, so a former vote may expire.
    Undecided,
    Open,
}

impl Circuits {
    pub(crate) fn add(&mut self, key: Arc<str>, breaker: WeakCircuitBreaker) {
        self.by_key.entry(key).or_default().breakers.push(breaker);
    }

    /// Looks at the state of each circuit. Those that have opened or closed since are due at once. Returns how many
    /// circuits are gone.
    pub(crate) fn look(&mut self, now: Instant, deaf_for: Duration) -> usize {
        let mut gone = 0;
        let due = &mut self.due;
        self.by_key.retain(|key, entry| {
            let before = entry.breakers.len();
            let stance = entry.look();
            gone += before - entry.breakers.len();
            if stance != entry.stance {
                if stance == Stance::Closed {
                    entry.deaf_until = Some(now + deaf_for);
                }
                entry.stance = stance;
                entry.make_due(|| due.push_front(key.clone()));
            }
            !entry.breakers.is_empty()
        });
        if gone > 0 {
            // Otherwise a circuit of the same name that comes later would be due twice.
            self.due.retain(|key| self.by_key.contains_key(key));
        }
        gone
    }

    /// Makes all circuits due.
    pub(crate) fn make_all_due(&mut self) {
        for (key, entry) in &mut self.by_key {
            entry.make_due(|| self.due.push_back(key.clone()));
        }
    }

    /// Makes a circuit due at once. Returns whether there is such a circuit.
    pub(crate) fn make_due(&mut self, key: &str) -> bool {
        let Some((key, _)) = self.by_key.get_key_value(key) else { return false };
        let key = key.clone();
        if let Some(entry) = self.by_key.get_mut(&key) {
            entry.make_due(|| self.due.push_front(key));
        }
        true
    }

    pub(crate) fn are_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Takes circuits that are due, each with what to do about it.
    pub(crate) fn take_due(&mut self) -> Vec<(Arc<str>, Action)> {
        let mut taken = Vec::new();
        while taken.len() < MOST_OF_AN_EXCHANGE {
            let Some(key) = self.due.pop_front() else { break };
            if let Some(entry) = self.by_key.get_mut(&key) {
                entry.is_due = false;
                let action = entry.action();
                // Even if the exchange fails, it may have had its effect.
                entry.has_voted |= action == Action::Vote;
                taken.push((key, action));
            }
        }
        taken
    }

    /// Takes what the store has answered to an exchange about these circuits. Suspects those for which there is a quorum of
    /// others, and returns how many these are.
    pub(crate) fn take_answer(
        &mut self,
        circuits: &[(Arc<str>, Action)],
        answer: &Answer,
        settings: &Settings,
        now: Instant,
    ) -> usize {
        let quorum = quorum(settings.quorum_share, answer.instances);
        let mut suspected = 0;
        for ((key, action), others) in circuits.iter().zip(&answer.others) {
            let Some(entry) = self.by_key.get_mut(key) else { continue };
            if *action == Action::Withdraw {
                entry.has_voted = false;
            }
            let listens = entry.deaf_until.is_none_or(|until| now >= until);
            if listens && *others >= quorum {
                let reason =
                    format!("open in {others} of {} other instances", answer.instances.max(1) - 1);
                suspected += entry.suspect(settings.time_to_live, &reason);
            }
        }
        suspected
    }
}

impl Entry {
    fn make_due(&mut self, push: impl FnOnce()) {
        if !std::mem::replace(&mut self.is_due, true) {
            push();
        }
    }

    fn look(&mut self) -> Stance {
        let mut stance = Stance::Closed;
        self.breakers.retain(|breaker| {
            let breaker = breaker.upgrade();
            stance = stance.or(breaker.as_ref().map_or(Stance::Closed, Stance::of));
            breaker.is_some()
        });
        stance
    }

    fn action(&self) -> Action {
        match self.stance {
            Stance::Open => Action::Vote,
            Stance::Closed if self.has_voted => Action::Withdraw,
            Stance::Closed | Stance::Undecided => Action::Read,
        }
    }

    /// Suspects the circuits that are not suspected yet or not for much longer.
    fn suspect(&self, duration: Duration, reason: &str) -> usize {
        let mut suspected = 0;
        for breaker in self.breakers.iter().filter_map(WeakCircuitBreaker::upgrade) {
            let snapshot = breaker.snapshot();
            let is_judging = snapshot.admitted_share() > 0.0;
            if is_judging && snapshot.suspected_for().is_none_or(|rest| rest <= duration / 2) {
                let action = OperatorAction::Suspect { duration };
                let by = Operator::new("fleet", reason);
                suspected += usize::from(breaker.operate(action, by).is_ok());
            }
        }
        suspected
    }
}

impl Stance {
    fn of(breaker: &CircuitBreaker) -> Self {
        // This is all that is read of a healthy circuit, and it takes no lock.
        if breaker.state() == State::Closed {
            return Self::Closed;
        }
        let snapshot = breaker.snapshot();
        if is_evidence(&snapshot) { Self::Open } else { Self::Undecided }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Open, _) | (_, Self::Open) => Self::Open,
            (Self::Undecided, _) | (_, Self::Undecided) => Self::Undecided,
            (Self::Closed, Self::Closed) => Self::Closed,
        }
    }
}

/// Whether a circuit has opened because of what it has seen, and its wait is not over. What an operator holds open, and
/// what was open before a restart, is no evidence about the dependency now.
fn is_evidence(snapshot: &Snapshot) -> bool {
    let waits = snapshot.retry_after().is_some_and(|wait| !wait.is_zero());
    snapshot.state() == State::Open
        && waits
        && !snapshot.is_forced()
        && snapshot.cause() != Some(Cause::Primed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circuits_that_come_and_go_are_due_once_while_nothing_is_exchanged() {
        let mut circuits = Circuits::default();
        let now = Instant::now();
        for _ in 0..100 {
            let breakers: Vec<CircuitBreaker> =
                (0..10).map(|i| CircuitBreaker::new(format!("circuit {i}"))).collect();
            for breaker in &breakers {
                circuits.add(breaker.name().into(), breaker.downgrade());
            }
            circuits.look(now, Duration::ZERO);
            circuits.make_all_due();
            assert_eq!(circuits.due.len(), 10);
            drop(breakers);
            assert_eq!(circuits.look(now, Duration::ZERO), 10);
            assert_eq!((circuits.by_key.len(), circuits.due.len()), (0, 0));
        }
    }
}
