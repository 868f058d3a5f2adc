//! Metrics through the [`metrics`] facade.
//!
//! Install a recorder, such as the Prometheus exporter, and every breaker records its metrics. Call
//! [`refresh`] before each scrape, or every few seconds.
//!
//! [`docs::operators`](crate::docs::operators) lists the metrics and the values of their labels, and has
//! alert rules and a dashboard.
//!
//! # The label `breaker`
//!
//! The value of the label `breaker` is the name of the breaker. The numbers of breakers with the same name
//! add up, also over time: a breaker that is dropped leaves `circuit_breaker_state`, and its counts stay.
//! The rates do not add up. They show the breaker of that name that was refreshed last.
//!
//! The circuits of a registry are counted under the name of the registry, because strangers
//! may choose the keys. They have no rates. The registry itself has metrics of its own, with its name, which add
//! up as well.
//!
//! # The recorder
//!
//! A breaker uses the first recorder that it finds, and keeps it. It looks for one when it is built, and
//! until it has found one, at every event and every refresh. So a recorder may be installed after the
//! breaker was built: the calls and rejections before that are lost, but states, times and transitions are
//! not. A [local recorder](::metrics::with_local_recorder) is found, too, and is then used for all threads.
//! Breakers that are built from clones of one builder share the recorder.
//!
//! All series of a breaker exist from the first scrape on, with the value zero. They are registered once,
//! so an exporter that drops idle series loses them for good.
//!
//! # Costs
//!
//! A call increments one counter, without an allocation and without a lock of this crate. It reads the
//! clock only if a setting needs it or the histogram is enabled.

mod handles;
mod labels;
mod ledger;
#[cfg(feature = "keyed")]
mod registry;
mod series;

use std::sync::Arc;

use self::handles::Handles;
use self::ledger::Ledger;
#[cfg(feature = "keyed")]
pub(super) use self::registry::RegistryMetrics;
pub(crate) use self::series::Series;
use super::{EventKind, Interest};
use crate::circuit::sync::{Mutex, lock};
use crate::circuit::{catch_panic, pool};
use crate::machine::{Change, Machine, Tick};

/// Updates the metrics that change with time, of all breakers: the seconds in each state, and the rates.
/// Also shows registries that have not changed since a recorder was installed.
///
/// For a single breaker, every transition and every [`snapshot`](crate::CircuitBreaker::snapshot) does the
/// same.
///
/// # Example
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
    #[cfg(feature = "keyed")]
    registry::refresh();
}

/// The metrics of one breaker.
///
/// They are not a [`Listener`](crate::Listener), because they also count what listeners do themselves, and
/// must not wait for a listener that blocks.
pub(super) struct Metrics {
    series: Series,
    shows_rates: bool,
    ledger: Mutex<Ledger>,
}

/// A recorder is user code. Its panics are caught, because they must not fail the call that caused an event.
impl Metrics {
    /// `name` is the name of the breaker. It differs from the name of the series for the circuits of a
    /// registry. They show no rates, because the gauge could show those of one circuit only.
    pub(super) fn new(series: Series, name: &Arc<str>) -> Self {
        let shows_rates = Arc::ptr_eq(name, series.breaker());
        let metrics = Self { series, shows_rates, ledger: Mutex::default() };
        // This looks for a recorder before other threads can find the circuit. Otherwise a refresh by another
        // thread might find that thread's local recorder first.
        catch_panic(|| {
            if metrics.series.handles().is_some() && shows_rates {
                metrics.series.rates();
            }
        });
        metrics
    }

    pub(super) fn interest(&self) -> Option<Interest> {
        Some(if self.series.has_durations() { Interest::Durations } else { Interest::Calls })
    }

    // ---- called with the circuit's lock held --------------------------------------------------

    pub(super) fn record(&self, change: &Change) {
        lock(&self.ledger).record(change);
    }

    pub(super) fn read(&self, machine: &Machine, now: Tick) {
        lock(&self.ledger).read(machine, now);
    }

    // ---- called without any lock --------------------------------------------------------------

    /// Publishes that the circuit has stopped. Everything but its state stays as it was read last.
    pub(super) fn stop(&self) {
        lock(&self.ledger).stop();
        self.publish();
    }

    /// Publishes what has been recorded, if there is a recorder. Several threads may do so at once and in
    /// any order.
    pub(super) fn publish(&self) {
        catch_panic(|| {
            let Some(handles) = self.series.handles() else { return };
            let entry = lock(&self.ledger).take();
            handles.add(&entry);
            if let (true, Some(rates)) = (self.shows_rates, entry.rates) {
                self.series.rates().set(rates);
            }
        });
    }

    /// Counts what a single call did.
    #[inline]
    pub(super) fn on_event(&self, kind: EventKind<'_>) {
        catch_panic(|| {
            let found = self.series.found().or_else(|| self.find_recorder());
            let Some(handles) = found else { return };
            match kind {
                EventKind::Settled(settled) => handles.count_call(settled),
                EventKind::Rejected(rejected) => handles.count_rejection(rejected.reason()),
                _ => {}
            }
        });
    }

    #[cold]
    fn find_recorder(&self) -> Option<&Handles> {
        let handles = self.series.handles()?;
        self.publish(); // what was recorded before there was a recorder
        Some(handles)
    }
}
