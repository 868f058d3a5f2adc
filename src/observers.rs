//! Those who are told how calls end.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Nanos;
use crate::event::{Ending, EventKind, Settled};
use crate::listeners::Listeners;
use crate::rules::Rules;
use crate::state::{Report, Ticket};

/// The listeners of a breaker, for calls: beside its circuit, so that a permit need not count
/// references to them.
pub(crate) struct Observers {
    listeners: Arc<Listeners>,
    rules: Rules,
    /// The first ticket of the breaker. A call with an earlier one was another breaker's.
    first_ticket: Ticket,
}

impl Observers {
    pub(crate) fn new(listeners: Arc<Listeners>, rules: Rules, first_ticket: Ticket) -> Self {
        Self { listeners, rules, first_ticket }
    }

    /// Tells how a call ended, unless it was another breaker's. `took`: if it was timed.
    pub(crate) fn tell(
        &self,
        ticket: Ticket,
        took: Option<Nanos>,
        report: Report,
        is_current: bool,
    ) {
        if ticket < self.first_ticket {
            return;
        }
        let at_least = |limit: Option<Nanos>| limit.is_some_and(|limit| took >= Some(limit));
        let ending = match report {
            Report::Success => Ending::Success,
            Report::Failure | Report::FailureRetryAfter(_) => Ending::Failure,
            Report::Abandoned if at_least(self.rules.abandoned_after) => Ending::Failure,
            Report::Abandoned => Ending::Abandoned,
            Report::Ignored => Ending::Ignored,
        };
        let has_outcome = matches!(ending, Ending::Success | Ending::Failure);
        self.listeners.tell(EventKind::Settled(Settled {
            ending,
            duration: took.map(Duration::from_nanos),
            is_slow: has_outcome && at_least(self.rules.slow_call_duration),
            is_stale: !is_current,
        }));
    }
}
