//! Metrics through the [`metrics`] facade: install a recorder, such as the Prometheus exporter, and
//! every breaker records. Nothing else is to be done, but to call [`refresh`] before each scrape or
//! every few seconds.
//!
//! [`docs::operators`](crate::docs::operators) has the table of the metrics, the values of their
//! labels, alert rules and a dashboard.
//!
//! # Whose they are
//! `breaker` is the name of the breaker. Breakers of one name add up, also over time: one that is
//! dropped takes itself out of `circuit_breaker_state` and leaves its counts. Only the rates do not
//! add up: the breaker that was refreshed last shows its own. The circuits that a registry keeps for
//! keys, which strangers may choose, count under the name of the registry, and have no rates.
//!
//! # The recorder
//! A breaker keeps to the first recorder that it finds: when it is built, or else at an event or a
//! refresh later. So a recorder may be installed after the breaker was built. Then only the calls
//! and rejections before are lost; states, times and transitions are not. A
//! [local recorder](::metrics::with_local_recorder) counts as well, for all threads that then use
//! the breaker. Breakers that are built from clones of one builder share what one of them finds.
//!
//! All series of a breaker are there, with zeros, from the first scrape on. An exporter that drops
//! idle series would lose them for good, as they are registered once.
//!
//! # What it costs
//! A call adds to one counter, without an allocation or a lock of this crate. It does not look at the
//! clock unless a setting needs it or the histogram is asked for.

mod handles;
mod labels;
mod ledger;

use std::sync::{Arc, OnceLock};

use ::metrics::Key;

use self::handles::{Handles, Rates};
use self::ledger::Ledger;
use super::{EventKind, Interest};
use crate::circuit::sync::{Mutex, lock};
use crate::circuit::{catch_panic, pool};
use crate::machine::{Change, Machine, Tick};

/// Brings what changes with time up to date, of all breakers: the seconds in each state, and the
/// rates. At every transition and by [`snapshot`](crate::CircuitBreaker::snapshot) this is done for
/// one breaker.
///
/// Call it before each scrape, or every few seconds:
///
/// ```
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut interval = tokio::time::interval(Duration::from_secs(5));
/// tokio::spawn(async move { loop { interval.tick().await; tower_breaker::metrics::refresh() } });
/// # }
/// ```
pub fn refresh() {
    for circuit in pool::all() {
        circuit.refresh();
    }
}

/// The metrics of all breakers that have one name, as far as the recorder knows them: the value of the
/// label `breaker`, and the handles that were registered under it.
///
/// A recorder keeps one series for each metric and each combination of labels. Breakers of one name
/// therefore write to the same series, and their numbers add up. Clones of a `Series` share the handles:
/// the breakers that are built from clones of one builder, such as the circuits of a registry, register
/// them only once. Two breakers of one name that come from different builders register them twice, which
/// is harmless because the recorder returns handles of the same series.
#[derive(Clone)]
pub(crate) struct Series(Arc<Shared>);

struct Shared {
    name: Arc<str>,
    probe: Key,
    durations: bool,
    handles: OnceLock<Handles>,
    rates: OnceLock<Rates>,
}

impl Series {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self::with(name, false)
    }

    /// The same with a histogram of durations.
    pub(crate) fn with_durations(&self) -> Self {
        Self::with(self.0.name.clone(), true)
    }

    fn with(name: Arc<str>, durations: bool) -> Self {
        let (handles, rates) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Shared { probe: handles::probe(&name), name, durations, handles, rates }))
    }

    /// `None` if there is no recorder yet.
    #[inline]
    fn handles(&self) -> Option<&Handles> {
        self.0.handles.get().or_else(|| self.register())
    }

    #[cold]
    fn register(&self) -> Option<&Handles> {
        let Shared { name, probe, durations, handles, .. } = &*self.0;
        if !handles::is_there_a_recorder(probe) {
            return None;
        }
        // Beforehand, so that somebody else's code does not run within. Twice does no harm.
        let registered = Handles::register(name, *durations);
        Some(handles.get_or_init(|| registered))
    }

    fn rates(&self) -> &Rates {
        let Shared { name, rates, .. } = &*self.0;
        rates.get().unwrap_or_else(|| {
            let registered = Rates::register(name);
            rates.get_or_init(|| registered)
        })
    }
}

/// The metrics of a breaker. It is no [`Listener`](crate::Listener), because it must be told what
/// listeners do themselves, too, and must not wait for one of them.
pub(super) struct Metrics {
    series: Series,
    has_rates: bool,
    ledger: Mutex<Ledger>,
}

/// A recorder that panics must not fail the call that caused the event, so it is contained.
impl Metrics {
    /// `name` is the breaker's. The circuits of a registry have names of their own; of their rates
    /// only one could be shown.
    pub(crate) fn new(series: Series, name: &Arc<str>) -> Self {
        let has_rates = Arc::ptr_eq(name, &series.0.name);
        let metrics = Self { series, has_rates, ledger: Mutex::default() };
        // While nobody knows of the circuit, or a refresh by another thread could find the local
        // recorder of that first.
        catch_panic(|| {
            if metrics.series.handles().is_some() && has_rates {
                metrics.series.rates();
            }
        });
        metrics
    }

    pub(super) fn interest(&self) -> Option<Interest> {
        Some(if self.series.0.durations { Interest::Durations } else { Interest::Calls })
    }

    // ---- with the circuit's lock held ---------------------------------------------------------

    pub(super) fn record(&self, change: &Change) {
        lock(&self.ledger).record(change);
    }

    pub(super) fn read(&self, machine: &Machine, now: Tick) {
        lock(&self.ledger).read(machine, now);
    }

    // ---- without any lock, as a recorder is somebody else's code ------------------------------

    /// The circuit has stopped. What was read last stays, but for the state.
    pub(super) fn stop(&self) {
        lock(&self.ledger).stop();
        self.publish();
    }

    /// Shows what was recorded, if there is a recorder. Several threads may do so at once, in any order.
    pub(super) fn publish(&self) {
        catch_panic(|| {
            let Some(handles) = self.series.handles() else { return };
            let entry = lock(&self.ledger).take();
            handles.add(&entry);
            if let (true, Some(rates)) = (self.has_rates, entry.rates) {
                self.series.rates().set(rates);
            }
        });
    }

    /// Counts what a single call did.
    #[inline]
    pub(super) fn on_event(&self, kind: EventKind<'_>) {
        catch_panic(|| {
            let Some(handles) = self.series.0.handles.get().or_else(|| self.find_recorder()) else {
                return;
            };
            match kind {
                EventKind::Settled(settled) => handles.count_call(settled),
                EventKind::Rejected(rejected) => handles.count_rejection(rejected.reason()),
                _ => {}
            }
        });
    }

    #[cold]
    fn find_recorder(&self) -> Option<&Handles> {
        let handles = self.series.register()?;
        self.publish(); // what there was before
        Some(handles)
    }
}
