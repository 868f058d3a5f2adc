//! [`Audience`]: the listeners of a breaker or a registry.

use std::sync::Arc;

use super::event::{Event, EventKind};
use super::interest::Interest;
use super::listener::Listener;
#[cfg(feature = "tracing")]
use super::tracing::Tracing;
use crate::circuit::{Name, catch_panic};

/// Listeners, and the name of what they listen to.
pub(super) struct Audience {
    name: Name,
    /// The listeners, each with its interest.
    listeners: Vec<(Interest, Arc<dyn Listener>)>,
    interest: Option<Interest>,
}

impl Audience {
    pub(super) fn new(name: Arc<str>, listeners: Vec<Arc<dyn Listener>>) -> Self {
        #[cfg(feature = "tracing")]
        let listeners = std::iter::once(Arc::new(Tracing) as Arc<dyn Listener>).chain(listeners);
        let listeners: Vec<_> =
            listeners.into_iter().map(|listener| (listener.interest(), listener)).collect();
        let interest = listeners.iter().map(|(interest, _)| *interest).max();
        Self { name: Arc::new(name), listeners, interest }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the greatest interest of any listener.
    pub(super) fn interest(&self) -> Option<Interest> {
        self.interest
    }

    pub(super) fn notify(&self, kind: EventKind<'_>) {
        let event = Event::new(&self.name, kind);
        for (interest, listener) in &self.listeners {
            if *interest >= kind.interest() {
                // A panic must neither fail the call nor keep the event from the other listeners.
                catch_panic(|| listener.on_event(&event));
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
