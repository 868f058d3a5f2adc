//! Notification: who is told what happens to a circuit, and how.
//!
//! # What belongs here
//!
//! Events and transitions as users see them, listeners, subscribers, the history, metrics and tracing. The
//! [`circuit`](crate::circuit) reports to an [`Observer`](crate::circuit::Observer) and knows nothing of
//! all this; [`Listeners`] is that observer. This layer imports [`machine`](crate::machine) and
//! [`circuit`](crate::circuit).
//!
//! # Where to start reading
//!
//! [`Event`] is what is told. [`Listeners`] records what happens while the circuit's lock is held, and
//! notifies everybody once it has been released.
//!
//! # How it works
//!
//! What changes the circuit (transitions, actions of operators, probes that time out) is recorded under the
//! lock and told without it: one at a time and in order, by whichever thread finds that nobody is notifying.
//! What a single call does is told at once by its own thread. Before a call pays for that, somebody must
//! want it: a flag in the status word says so, and the permit carries it to the end of the call.
//!
//! Metrics are not a listener. They must not miss what listeners do themselves, nor wait for a listener that
//! blocks. Changes are recorded under the lock as numbers that add up in any order, and are published
//! without it.

mod event;
mod history;
mod listeners;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
mod no_metrics;
mod subscribe;
#[cfg(feature = "tracing")]
mod tracing;
mod transition;

pub use self::event::{Ending, Event, EventKind, Interest, Listener, Settled};
pub(crate) use self::listeners::Listeners;
#[cfg(feature = "metrics")]
pub(crate) use self::metrics::Series;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::no_metrics::Series;
pub use self::subscribe::{Lagged, Transitions};
pub use self::transition::Transition;
