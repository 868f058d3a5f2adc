//! [`Listeners`]: who is notified of what happens to a circuit, and in which order.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::audience::Audience;
use super::event::{Event, EventKind};
use super::history::History;
use super::interest::Interest;
use super::last_failure::{Described, LastFailure};
#[cfg(feature = "metrics")]
use super::metrics::{Metrics, Series};
#[cfg(not(feature = "metrics"))]
use super::no_metrics::{Metrics, Series};
use super::notifying::Notifying;
use super::operator;
use super::pending::{Notification, Pending};
use super::reconfiguration::Reconfiguration;
use super::settled::Settled;
#[cfg(feature = "admin")]
use super::shown::Shown;
use super::subscribe::{Lagged, Subscribers, Transitions};
use super::transition::Transition;
use crate::circuit::sync::{Mutex, lock};
use crate::circuit::{Name, Observer, Rejected, SettledCall, Watches};
use crate::machine::{Change, Machine, Occurrence, Tick};

/// The listeners of a breaker, and its name.
pub(crate) struct Listeners {
    name: Name,
    audience: Arc<Audience>,
    metrics: Metrics,
    /// Takes memory once something has happened, or somebody subscribes. Most circuits of a registry stay closed.
    happened: OnceLock<Box<Happened>>,
}

/// What has happened, and who is still to be notified.
#[derive(Default)]
struct Happened {
    subscribers: Subscribers,
    history: Mutex<History>,
    described: Described,
    pending: Pending,
    #[cfg(feature = "admin")]
    shown: Shown,
}

impl Listeners {
    pub(crate) fn new(name: Arc<str>, series: Series, audience: Arc<Audience>) -> Self {
        let metrics = Metrics::new(series, &name);
        Self { name: Arc::new(name), audience, metrics, happened: OnceLock::new() }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    fn happened(&self) -> &Happened {
        self.happened.get_or_init(Box::default)
    }

    pub(crate) fn subscribe(&self) -> Transitions {
        self.happened().subscribers.subscribe()
    }

    /// Returns the latest transitions, oldest first, followed by one that has not been recorded yet. Called
    /// with the circuit's lock held.
    pub(crate) fn history(&self, unrecorded: Option<Change>) -> Vec<Transition> {
        let changes = lock(&self.happened().history).with(unrecorded);
        let transition = |(change, cause)| Transition::new(self.name().clone(), change, cause);
        changes.into_iter().map(transition).collect()
    }

    /// Returns the last failure that was described.
    pub(crate) fn last_failure(&self) -> Option<LastFailure> {
        self.happened.get()?.described.last()
    }

    /// Begins to count what is counted only of a circuit that is shown. Returns the rejections since then.
    #[cfg(feature = "admin")]
    pub(crate) fn rejections_since_shown(&self) -> u64 {
        self.happened().shown.rejections()
    }

    #[cfg(feature = "admin")]
    pub(crate) fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Notes that the circuit no longer works for this breaker.
    pub(crate) fn stop(&self) {
        self.metrics.stop();
    }

    // ---- what single calls do -----------------------------------------------------------------

    /// Reports that a call was rejected.
    pub(crate) fn rejected(&self, rejected: &Rejected) {
        #[cfg(feature = "admin")]
        if let Some(happened) = self.happened.get() {
            happened.shown.count_rejection();
        }
        if self.want(Interest::Rejections) {
            self.notify_at_once(EventKind::Rejected(rejected));
        }
    }

    /// Reports that a call was turned away and is made all the same.
    pub(crate) fn would_reject(&self, rejected: &Rejected) {
        if self.want(Interest::Rejections) {
            self.notify_at_once(EventKind::WouldReject(rejected));
        }
    }

    /// Reports that a probe was admitted.
    pub(crate) fn probe_admitted(&self) {
        if self.want(Interest::Rejections) {
            self.notify_at_once(EventKind::ProbeAdmitted);
        }
    }

    /// Returns whether any listener or the metrics want events of this kind.
    #[inline]
    fn want(&self, interest: Interest) -> bool {
        self.audience.interest() >= Some(interest) || self.metrics.interest() >= Some(interest)
    }

    fn notify_at_once(&self, kind: EventKind<'_>) {
        self.metrics.on_event(kind);
        if self.audience.interest() >= Some(kind.interest()) && !Notifying::is_this_thread() {
            let _notifying = Notifying::begin();
            self.audience.notify(&self.name, kind);
        }
    }

    // ---- what happens in order ----------------------------------------------------------------

    fn push(&self, happened: &Happened, occurrence: &Occurrence) {
        happened.pending.push(match *occurrence {
            Occurrence::Operated(_) if Notifying::is_this_thread() => return,
            Occurrence::Operated(action) => {
                Notification::OperatorAction(action, operator::operator())
            }
            Occurrence::Reconfigured { .. } if Notifying::is_this_thread() => return,
            Occurrence::Reconfigured { ref from, ref to } => {
                let reconfiguration = Reconfiguration::new(from.clone(), to.clone());
                Notification::Reconfigured(reconfiguration, operator::operator())
            }
            Occurrence::ProbeTimedOut => Notification::ProbeTimedOut,
            Occurrence::Recovering { over } => Notification::Recovering(Duration::from_nanos(over)),
            Occurrence::Changed(change) => {
                let cause = happened.described.cause_of(&change);
                Notification::Transition(Transition::new(self.name().clone(), change, cause))
            }
        });
    }

    fn report(&self, notification: Notification) {
        let notify_of = |event: Event<'_>| {
            self.audience.notify_of(&event);
            #[cfg(feature = "admin")]
            self.audience.watchers.notify(&self.name, &event);
        };
        let event = |kind| Event::new(&self.name, kind);
        let notify = |kind| notify_of(event(kind));
        let subscribers = &self.happened().subscribers;
        match notification {
            Notification::Transition(transition) => {
                notify(EventKind::Transition(&transition));
                subscribers.send(Ok(transition));
            }
            Notification::OperatorAction(action, by) => {
                notify_of(event(EventKind::OperatorAction(action)).by(by.as_deref()));
            }
            Notification::Reconfigured(reconfiguration, by) => {
                notify_of(event(EventKind::Reconfigured(&reconfiguration)).by(by.as_deref()));
            }
            Notification::ProbeTimedOut => notify(EventKind::ProbeTimedOut),
            Notification::Recovering(over) => notify(EventKind::Recovering { over }),
            Notification::Missed(missed) => {
                notify(EventKind::Lagged { missed: missed.events });
                if missed.transitions > 0 {
                    subscribers.send(Err(Lagged::new(missed.transitions)));
                }
            }
        }
    }
}

impl Observer for Listeners {
    fn watches(&self) -> Watches {
        let listeners = match self.audience.interest() {
            Some(Interest::Durations) => Watches::Durations,
            Some(Interest::Calls) => Watches::Calls,
            _ => Watches::Nothing,
        };
        listeners.max(self.metrics.watches())
    }

    fn record(&self, machine: &Machine) -> bool {
        let is_looked_after = self.audience.looks_after();
        if machine.occurrences().is_empty() {
            return is_looked_after;
        }
        let happened = self.happened();
        let has_listeners = self.audience.follows() || !happened.subscribers.is_empty();
        for occurrence in machine.occurrences() {
            if let Occurrence::Changed(change) = occurrence {
                self.metrics.record(change);
                let cause = happened.described.cause_of(change);
                lock(&happened.history).record((*change, cause));
            }
            if has_listeners {
                self.push(happened, occurrence);
            }
        }
        self.metrics.read(machine, machine.now());
        has_listeners || is_looked_after || self.metrics.interest().is_some()
    }

    fn notify(&self) {
        self.audience.wake();
        self.publish();
        if let Some(turn) = self.happened.get().and_then(|happened| happened.pending.begin()) {
            turn.for_each(|notification| self.report(notification));
        }
    }

    fn read(&self, machine: &Machine, now: Tick) {
        self.metrics.read(machine, now);
    }

    fn publish(&self) {
        self.metrics.publish();
    }

    fn call_settled(&self, call: SettledCall) {
        self.notify_at_once(EventKind::Settled(Settled::new(&call)));
    }

    fn describe_failure(&self, now: Tick, what: &dyn Display) {
        self.happened().described.describe(now, what);
    }

    fn calls_succeeded(&self, n: u64) {
        self.metrics.calls_succeeded(n);
    }
}
