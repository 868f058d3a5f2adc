//! [`Observer`]: what a circuit reports about itself.

use std::fmt::Display;
use std::sync::Arc;

use crate::machine::{Machine, Nanos, Report, Rules, Tick, Ticket, Verdict};

/// Receives what a circuit reports. The `observe` layer implements this trait, so the circuit does not have
/// to know about listeners.
///
/// No method is called for a healthy call that is not watched.
pub(crate) trait Observer: Send + Sync {
    /// How much it wants to know about calls. Asked once, when the circuit starts.
    fn watches(&self) -> Watches;

    /// Records what has [happened](Machine::occurrences) to the machine. Called with the circuit's lock
    /// held, so that the order is right. It must not run user code.
    ///
    /// Returns whether [`notify`](Self::notify) is to be called once the lock has been released.
    fn record(&self, machine: &Machine) -> bool;

    /// Passes on what was recorded, and the last reading. Called without any lock held.
    fn notify(&self);

    /// Takes a reading of the machine. Called with the circuit's lock held. It must not run user code.
    fn read(&self, machine: &Machine, now: Tick);

    /// Passes on the last reading. Called without any lock held.
    fn publish(&self);

    /// A call has been settled. Called without any lock held, if it [watches](Self::watches) calls.
    fn call_settled(&self, call: SettledCall);

    /// A call has failed or is about to, and this is what went wrong. Called without any lock held. It may run user code.
    fn describe_failure(&self, now: Tick, what: &dyn Display);

    /// So many calls have succeeded that were not reported one by one: they were neither slow nor late. Called without
    /// any lock held, if it watches [successes in batches](Watches::Batches).
    fn calls_succeeded(&self, n: u64);
}

/// How much an [`Observer`] wants to know about calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watches {
    Nothing,
    /// How calls end, and of ordinary successes only how many there were.
    Batches,
    /// How calls end.
    Calls,
    /// How calls end and how long they take.
    Durations,
}

/// How a call ended.
pub(crate) struct SettledCall {
    pub(crate) report: Report,
    pub(crate) verdict: Verdict,
    /// How long the call took, if it was timed.
    pub(crate) took: Option<Nanos>,
    /// Whether the result was dropped, because the period that admitted the call has ended.
    pub(crate) is_stale: bool,
    /// Whether the call was turned away and made all the same, so that its result does not count.
    pub(crate) is_shadow: bool,
}

/// The observer of the breaker that a circuit works for. It is kept next to the circuit, so that a permit
/// need not count a reference to it.
pub(super) struct Watch {
    observer: Arc<dyn Observer>,
    rules: Arc<Rules>,
    /// The first ticket of the breaker. A call with an earlier ticket belongs to a breaker that is gone.
    first_ticket: Ticket,
}

impl Watch {
    pub(super) fn new(
        observer: Arc<dyn Observer>,
        rules: Arc<Rules>,
        first_ticket: Ticket,
    ) -> Self {
        Self { observer, rules, first_ticket }
    }

    pub(super) fn first_ticket(&self) -> Ticket {
        self.first_ticket
    }

    pub(super) fn calls_succeeded(&self, n: u64) {
        self.observer.calls_succeeded(n);
    }

    pub(super) fn call_settled(
        &self,
        ticket: Ticket,
        took: Option<Nanos>,
        report: Report,
        is_stale: bool,
        is_shadow: bool,
    ) {
        if ticket < self.first_ticket {
            return;
        }
        let verdict = self.rules.verdict(report, took.unwrap_or(0));
        self.observer.call_settled(SettledCall { report, verdict, took, is_stale, is_shadow });
    }
}
