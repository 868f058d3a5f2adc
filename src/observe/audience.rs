//! [`Audience`]: the listeners of a breaker, or of a registry and all its circuits.

use std::sync::Arc;

#[cfg(feature = "keyed")]
use super::changes::Changes;
use super::event::{Event, EventKind};
use super::interest::Interest;
use super::listener::Listener;
#[cfg(feature = "tracing")]
use super::tracing::Tracing;
#[cfg(feature = "admin")]
use super::watchers::Watchers;
use crate::circuit::catch_panic;

/// Listeners, which the circuits of a registry share.
pub(crate) struct Audience {
    /// The listeners, each with its interest.
    listeners: Vec<(Interest, Arc<dyn Listener>)>,
    interest: Option<Interest>,
    #[cfg(feature = "admin")]
    pub(super) watchers: Watchers,
    #[cfg(feature = "keyed")]
    changes: Arc<Changes>,
}

impl Audience {
    pub(crate) fn new(listeners: Vec<Arc<dyn Listener>>) -> Self {
        #[cfg(feature = "tracing")]
        let listeners = std::iter::once(Arc::new(Tracing) as Arc<dyn Listener>).chain(listeners);
        let listeners: Vec<_> =
            listeners.into_iter().map(|listener| (listener.interest(), listener)).collect();
        let interest = listeners.iter().map(|(interest, _)| *interest).max();
        Self {
            listeners,
            interest,
            #[cfg(feature = "admin")]
            watchers: Watchers::default(),
            #[cfg(feature = "keyed")]
            changes: Arc::default(),
        }
    }

    /// Returns the greatest interest of any listener.
    pub(super) fn interest(&self) -> Option<Interest> {
        self.interest
    }

    /// Whether anybody wants to know what happens in order: listeners or watchers.
    pub(super) fn follows(&self) -> bool {
        #[cfg(feature = "admin")]
        if self.watchers.were_there() {
            return true;
        }
        self.interest.is_some()
    }

    /// Whether anybody wants to be woken by any change, and then looks at the circuits.
    pub(super) fn looks_after(&self) -> bool {
        #[cfg(feature = "keyed")]
        return self.changes.are_awaited();
        #[cfg(not(feature = "keyed"))]
        false
    }

    /// Wakes those who look after the circuits.
    pub(super) fn wake(&self) {
        #[cfg(feature = "keyed")]
        self.changes.notify();
    }

    #[cfg(feature = "keyed")]
    pub(crate) fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// Lets somebody follow the circuits.
    #[cfg(feature = "admin")]
    pub(crate) fn watch(&self, watcher: std::sync::Weak<dyn super::Watcher>) {
        self.watchers.add(watcher);
    }

    /// Notifies the listeners of what has happened to the breaker with this name.
    pub(super) fn notify(&self, name: &str, kind: EventKind<'_>) {
        self.notify_of(&Event::new(name, kind));
    }

    /// Notifies the listeners of an event.
    pub(super) fn notify_of(&self, event: &Event<'_>) {
        let kind = event.kind();
        for (interest, listener) in &self.listeners {
            if *interest >= kind.interest() {
                // A panic must neither fail the call nor keep the event from the other listeners.
                catch_panic(|| listener.on_event(event));
            }
        }
    }
}

/// A listener may panic when it is dropped.
impl Drop for Audience {
    fn drop(&mut self) {
        for (_, listener) in self.listeners.drain(..) {
            catch_panic(|| drop(listener));
        }
    }
}
