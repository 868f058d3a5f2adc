//! [`Listeners`]: those who are told what happens to a circuit, and in which order.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use super::event::{Event, EventKind, Interest, Listener, Settled};
use super::history::History;
#[cfg(feature = "metrics")]
use super::metrics::{Metrics, Series};
#[cfg(not(feature = "metrics"))]
use super::no_metrics::{Metrics, Series};
use super::subscribe::{Subscribers, Transitions};
#[cfg(feature = "tracing")]
use super::tracing::Tracing;
use super::transition::Transition;
use crate::circuit::sync::{Mutex, lock};
use crate::circuit::{Name, Observer, Rejected, SettledCall, Watches, catch_panic};
use crate::machine::{Change, Machine, Occurrence, OperatorAction, Tick};

/// The listeners of a breaker, and its name.
pub(crate) struct Listeners {
    name: Name,
    /// The listeners, each with how much it wants to be told.
    all: Vec<(Interest, Arc<dyn Listener>)>,
    /// The most that any listener wants to be told.
    of_listeners: Option<Interest>,
    /// The same with the metrics included.
    interest: Option<Interest>,
    metrics: Metrics,
    subscribers: Subscribers,
    history: Mutex<History>,
    pending: Mutex<Pending>,
}

/// What is told in order.
enum Notification {
    Transition(Transition),
    OperatorAction(OperatorAction),
    ProbeTimedOut,
}

#[derive(Default)]
struct Pending {
    notifications: VecDeque<Notification>,
    /// Whether a thread is notifying.
    is_notifying: bool,
}

thread_local! {
    /// Whether this thread is in a listener. What a listener does to single calls is not told, or a
    /// listener that makes a call for every call would never come to an end.
    static IN_LISTENER: Cell<bool> = const { Cell::new(false) };
}

impl Listeners {
    pub(crate) fn new(name: Arc<str>, series: Series, all: Vec<Arc<dyn Listener>>) -> Self {
        #[cfg(feature = "tracing")]
        let all = std::iter::once(Arc::new(Tracing) as Arc<dyn Listener>).chain(all);
        let all: Vec<_> = all.into_iter().map(|listener| (listener.interest(), listener)).collect();
        let of_listeners = all.iter().map(|(interest, _)| *interest).max();
        let metrics = Metrics::new(series, &name);
        Self {
            name: Arc::new(name),
            all,
            of_listeners,
            interest: of_listeners.max(metrics.interest()),
            metrics,
            subscribers: Subscribers::default(),
            history: Mutex::default(),
            pending: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn subscribe(&self) -> Transitions {
        self.subscribers.subscribe()
    }

    /// Returns the latest transitions, oldest first, with one that is not recorded yet. Called with the
    /// circuit's lock held.
    pub(crate) fn history(&self, unrecorded: Option<Change>) -> Vec<Transition> {
        let changes = lock(&self.history).with(unrecorded);
        changes.into_iter().map(|change| Transition::new(self.name.clone(), change)).collect()
    }

    /// Publishes what the metrics have recorded.
    pub(crate) fn publish_metrics(&self) {
        self.metrics.publish();
    }

    /// The circuit works for this breaker no longer.
    pub(crate) fn stop(&self) {
        self.metrics.stop();
    }

    // ---- what single calls do -----------------------------------------------------------------

    /// Tells that a call was rejected.
    pub(crate) fn rejected(&self, rejected: &Rejected) {
        if self.want(Interest::Rejections) {
            self.notify_at_once(EventKind::Rejected(rejected));
        }
    }

    /// Tells that a probe was admitted.
    pub(crate) fn probe_admitted(&self) {
        if self.want(Interest::Rejections) {
            self.notify_at_once(EventKind::ProbeAdmitted);
        }
    }

    #[inline]
    fn want(&self, interest: Interest) -> bool {
        self.interest >= Some(interest)
    }

    fn notify_at_once(&self, kind: EventKind<'_>) {
        self.metrics.on_event(kind);
        if self.of_listeners >= Some(kind.interest()) && !IN_LISTENER.get() {
            self.notify_all(kind);
        }
    }

    // ---- what happens in order ----------------------------------------------------------------

    fn push(&self, occurrence: Occurrence) {
        let notification = match occurrence {
            Occurrence::Operated(_) if IN_LISTENER.get() => return,
            Occurrence::Operated(action) => Notification::OperatorAction(action),
            Occurrence::ProbeTimedOut => Notification::ProbeTimedOut,
            Occurrence::Changed(change) => {
                Notification::Transition(Transition::new(self.name.clone(), change))
            }
        };
        lock(&self.pending).notifications.push_back(notification);
    }

    fn next(&self) -> Option<Notification> {
        let mut pending = lock(&self.pending);
        let next = pending.notifications.pop_front();
        pending.is_notifying = next.is_some();
        next
    }

    fn notify_all(&self, kind: EventKind<'_>) {
        let event = Event::new(&self.name, kind);
        let was_in_listener = IN_LISTENER.replace(true);
        for (_, listener) in self.all.iter().filter(|(interest, _)| *interest >= kind.interest()) {
            // A panic must neither fail the call that caused the event nor keep others from being told.
            catch_panic(|| listener.on_event(&event));
        }
        IN_LISTENER.set(was_in_listener);
    }
}

impl Observer for Listeners {
    fn watches(&self) -> Watches {
        match self.interest {
            Some(Interest::Durations) => Watches::Durations,
            Some(Interest::Calls) => Watches::Calls,
            _ => Watches::Nothing,
        }
    }

    fn record(&self, machine: &Machine) -> bool {
        let is_told = self.interest.is_some() || !self.subscribers.is_empty();
        let mut last = None;
        for occurrence in machine.occurrences() {
            if let Occurrence::Changed(change) = occurrence {
                self.metrics.record(change);
                lock(&self.history).record(*change);
                last = Some(change.at);
            }
            if is_told {
                self.push(*occurrence);
            }
        }
        if let Some(last) = last {
            self.metrics.read(machine, last);
        }
        is_told
    }

    /// Tells everything that is pending, unless another thread is at it. That includes what a listener
    /// causes meanwhile.
    fn notify(&self) {
        self.metrics.publish();
        if std::mem::replace(&mut lock(&self.pending).is_notifying, true) {
            return;
        }
        while let Some(notification) = self.next() {
            self.notify_all(match &notification {
                Notification::Transition(transition) => EventKind::Transition(transition),
                Notification::OperatorAction(action) => EventKind::OperatorAction(*action),
                Notification::ProbeTimedOut => EventKind::ProbeTimedOut,
            });
            if let Notification::Transition(transition) = notification {
                self.subscribers.send(transition);
            }
        }
    }

    fn read(&self, machine: &Machine, now: Tick) {
        self.metrics.read(machine, now);
    }

    fn call_settled(&self, call: SettledCall) {
        self.notify_at_once(EventKind::Settled(Settled::new(&call)));
    }
}
