//! [`Listener`]: what users implement to receive events.

use super::event::Event;
use super::interest::Interest;

/// Receives the events of a circuit. A closure `|event: &Event<'_>|` is a listener, too.
///
/// A listener is called after the state has changed, by a thread that uses the circuit. The call that
/// this thread is making waits meanwhile, so a listener should be quick. Hand slow work, such as sending
/// an alert, to another thread or task.
///
/// # Order
///
/// Transitions, operator actions and probe timeouts are reported one at a time and in order. If one of
/// these happens while another thread is calling the listeners, that thread reports it as well, and the
/// thread on which it happened goes on at once. After eight events, the thread that reports hands over to
/// the next thread on which something happens. That thread waits for its turn, for a second at most.
///
/// If the listeners are so slow that 64 events wait to be reported, the oldest is dropped for each new one,
/// but never the newest transition. [`EventKind::Lagged`](crate::EventKind::Lagged) then says how many were
/// dropped.
///
/// Rejections, admitted probes and settled calls are reported at once, by the thread on which they
/// happen. Several threads may therefore call a listener at the same time, and such an event may come
/// before a transition that happened earlier.
///
/// # What a listener may do
///
/// * It may panic. The panic is caught, and neither the call nor any other listener notices.
/// * It may use this breaker and others. The transitions that it causes are reported. Its own
///   [rejections](crate::EventKind::Rejected), [probes](crate::EventKind::ProbeAdmitted),
///   [settled calls](crate::EventKind::Settled) and
///   [operator actions](crate::EventKind::OperatorAction) are not, because a listener that makes a call
///   for every event would never come to an end.
/// * It should not hold a lock of its own while it uses a breaker: a transition that it causes may be
///   reported to it before the method returns.
/// * It should not own a handle to its own breaker. The breaker owns its listeners, so neither would ever
///   be dropped.
///
/// # Example
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use tower_breaker::{CircuitBreaker, Event, EventKind, Interest, Listener};
///
/// #[derive(Default)]
/// struct Rejections(AtomicU64);
///
/// impl Listener for Rejections {
///     fn on_event(&self, event: &Event<'_>) {
///         if let EventKind::Rejected(_) = event.kind() {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
///
///     fn interest(&self) -> Interest {
///         Interest::Rejections // healthy calls cost nothing
///     }
/// }
///
/// let breaker = CircuitBreaker::builder("payments").listener(Rejections::default()).build()?;
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
pub trait Listener: Send + Sync + 'static {
    /// Receives an event.
    fn on_event(&self, event: &Event<'_>);

    /// Returns which events this listener wants. It receives no others.
    ///
    /// This is asked once, when the breaker is built. The default is [`Interest::Durations`], which is
    /// everything.
    fn interest(&self) -> Interest {
        Interest::Durations
    }
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Listener for F {
    fn on_event(&self, event: &Event<'_>) {
        self(event);
    }
}
