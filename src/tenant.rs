//! The breaker that a circuit works for.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::Tick;
use crate::event::{Interest, OperatorAction};
use crate::listeners::{Listeners, News};
use crate::rules::Rules;
use crate::state::Machine;
use crate::transition::{Cause, Change, Transition};
use crate::word::Word;

/// The breaker that a circuit works for at present.
pub(crate) struct Tenant {
    pub(crate) machine: Machine,
    pub(crate) listeners: Arc<Listeners>,
    /// What its words always say.
    pub(crate) flags: u64,
    /// The latest changes.
    history: VecDeque<Change>,
}

/// So many changes are kept.
const HISTORY: usize = 8;

impl Tenant {
    pub(crate) fn new(
        machine: Machine,
        listeners: Arc<Listeners>,
        rules: &Rules,
        counts_in_flight: bool,
    ) -> Self {
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let flags = flag(Word::TIMED, rules.times_calls() || listeners.want(Interest::Durations))
            | flag(Word::OBSERVED, listeners.want(Interest::Calls))
            | flag(Word::COUNTED, counts_in_flight);
        Self { machine, listeners, flags, history: VecDeque::new() }
    }

    /// The latest transitions, oldest first, with one that time has made and nobody has noticed.
    pub(crate) fn history(&self, now: Tick) -> Vec<Transition> {
        let unnoticed = self.machine.unnoticed(now);
        let newest_first = unnoticed.iter().chain(&self.history).take(HISTORY);
        let name = self.listeners.name();
        let mut history: Vec<Transition> =
            newest_first.map(|change| Transition::new(name.clone(), *change)).collect();
        history.reverse();
        history
    }

    /// Notes what has happened; returns those who are to be told, if anybody is.
    pub(crate) fn note_news(&mut self, action: Option<OperatorAction>) -> Option<Arc<Listeners>> {
        let listeners = self.listeners.want_news().then_some(&self.listeners);
        let note = |news| listeners.iter().for_each(|listeners| listeners.note(&news));
        let mut action = action.map(News::OperatorAction);
        let mut last = None;
        for change in self.machine.take_changes() {
            last = Some(change.at);
            self.listeners.metrics.note(&change);
            if change.cause == Cause::ProbeTimedOut {
                note(News::ProbeTimedOut); // that was before anybody acted
            } else {
                action.take().into_iter().for_each(note);
            }
            note(News::Transition(Transition::new(self.listeners.name().clone(), change)));
            self.history.truncate(HISTORY - 1);
            self.history.reserve_exact(HISTORY - self.history.len());
            self.history.push_front(change);
        }
        action.into_iter().for_each(note);
        if let Some(last) = last {
            self.listeners.metrics.look(&self.machine, last);
        }
        listeners.cloned()
    }
}
