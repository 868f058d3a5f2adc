//! Notification: everything that reports to the outside what happens to a circuit.
//!
//! # What belongs here
//!
//! Events and transitions as users see them, listeners, subscribers, the history, metrics and tracing. The
//! [`circuit`](crate::circuit) reports to an [`Observer`](crate::circuit::Observer) and knows nothing about
//! this layer. [`Listeners`] is that observer. This layer imports [`machine`](crate::machine) and
//! [`circuit`](crate::circuit).
//!
//! # Where to start reading
//!
//! [`Event`] is what users receive. [`Listeners`] records what happens while the circuit's lock is held, and
//! notifies once the lock has been released.
//!
//! # How it works
//!
//! What changes the circuit (transitions, operator actions, probe timeouts) is recorded while the circuit's
//! lock is held, and reported after it has been released: one at a time and in order. [`pending`] decides
//! which thread does that.
//!
//! What a single call does is reported at once by the thread that makes the call. A call pays for that only
//! if a listener or the metrics ask for it: a flag in the status word says so, and the permit carries the flag to the end
//! of the call. The metrics alone do not need each success, but only how many there were. The circuit counts them, and
//! reports them in batches.
//!
//! The metrics are not a listener. They must also count what listeners do themselves, and they must not wait
//! for a listener that blocks. Changes are recorded under the lock as numbers that add up in any order, and
//! are published without it.

mod audience;
#[cfg(feature = "keyed")]
mod changes;
mod event;
mod history;
mod interest;
mod last_failure;
mod listener;
mod listeners;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
mod no_metrics;
mod notifying;
mod operator;
mod pending;
mod reconfiguration;
#[cfg(feature = "keyed")]
mod registry;
mod settled;
#[cfg(feature = "admin")]
mod shown;
mod subscribe;
#[cfg(feature = "tracing")]
mod tracing;
mod transition;
#[cfg(feature = "admin")]
mod watchers;

pub(crate) use self::audience::Audience;
#[cfg(feature = "keyed")]
pub(crate) use self::changes::Changes;
pub use self::event::{Event, EventKind};
pub use self::interest::Interest;
pub use self::last_failure::LastFailure;
pub use self::listener::Listener;
pub(crate) use self::listeners::Listeners;
#[cfg(feature = "metrics")]
pub(crate) use self::metrics::Series;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::no_metrics::Series;
pub use self::operator::Operator;
pub(crate) use self::operator::on_behalf_of;
pub use self::reconfiguration::{Reconfiguration, SettingChange};
#[cfg(feature = "keyed")]
pub(crate) use self::registry::RegistryObserver;
pub use self::settled::{Ending, Settled};
pub use self::subscribe::{Lagged, Transitions};
pub use self::transition::Transition;
#[cfg(feature = "admin")]
pub(crate) use self::watchers::Watcher;
