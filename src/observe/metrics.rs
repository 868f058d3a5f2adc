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
//! Gauges that cannot add up, such as rates, show the breaker of that name that was refreshed last.
//!
//! The circuits of a registry are counted under the name of the registry, because strangers
//! may choose the keys. They have no gauges that cannot add up. The registry itself has metrics of its own,
//! with its name, which add up as well.
//!
//! # The recorder
//!
//! A breaker uses the first recorder that it finds, and keeps it. It looks for one when it is built, and
//! until it has found one, at events and at every refresh. So a recorder may be installed after the
//! breaker was built: it misses nothing but durations. A
//! [local recorder](::metrics::with_local_recorder) is found, too, and is then used for all threads.
//! Breakers that are built from clones of one builder share the recorder.
//!
//! # Which series there are
//!
//! Most series of a breaker exist from the first scrape on, with the value zero. Others begin with what they
//! show: those of a rule with the rule, those of an outage with the first one, and those of operators with
//! their first action. They begin on a thread that has the recorder, which matters only if it is a local one.
//!
//! Some exporters can drop series that have not changed for a while, such as the Prometheus exporter with
//! `idle_timeout`. Each [`refresh`] tells them that the series are still in use, except for the histogram. So
//! refresh more often than that timeout, and exempt histograms from it, because a series that has been
//! dropped is lost for good.
//!
//! # OpenTelemetry
//!
//! The names are those of Prometheus, and no metric has a unit that an exporter would append to its name. One
//! thing has to be said to the crate `opentelemetry-prometheus`, which appends `_total` to the name of every
//! counter, whether it ends so already or not: give the meter provider a view that removes it first, as
//! `examples/opentelemetry.rs` does. The names are then the same whichever exporter serves them.
//!
//! # Costs
//!
//! A call that succeeds adds one to a number that its thread shares with few others, without an allocation and without
//! a lock. Each refresh, [`snapshot`](crate::CircuitBreaker::snapshot) and transition adds these numbers to the counter
//! of the recorder, and so does a call that finds its number at 1/256 of what it has added up to so far, or at 4,095. So
//! without a refresh, the counter lags behind by less than half a percent. Calls that end in another way, are slow or end
//! too late are counted at once, and rejections as well.
//!
//! With the histogram of durations, or with a listener that wants [`Interest::Calls`] or more, each
//! call increments the counter of the recorder, for which the threads compete.
//!
//! A call reads the clock only if a setting needs it or the histogram is enabled.

mod counters;
mod handles;
mod labels;
mod late;
mod ledger;
mod names;
mod open_since;
mod reading;
#[cfg(feature = "keyed")]
mod registry;
mod seconds;
mod series;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::handles::Handles;
use self::ledger::Ledger;
#[cfg(feature = "keyed")]
pub(super) use self::registry::RegistryMetrics;
pub(crate) use self::series::Series;
use super::{EventKind, Interest};
use crate::circuit::sync::{Mutex, lock};
use crate::circuit::{Watches, catch_panic, pool};
use crate::machine::{Change, Machine, Tick};

/// Updates the metrics that change with time, of all breakers: the seconds in each state, and the rates. Also shows
/// the successes that the counter does not include yet: see [Costs](self#costs).
///
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
    REFRESHES.fetch_add(1, Ordering::Relaxed);
    for circuit in pool::all() {
        circuit.refresh();
    }
    #[cfg(feature = "keyed")]
    registry::refresh();
}

static REFRESHES: AtomicU64 = AtomicU64::new(0);

/// The metrics of one breaker.
///
/// They are not a [`Listener`](crate::Listener), because they also count what listeners do themselves, and
/// must not wait for a listener that blocks.
pub(super) struct Metrics {
    series: Series,
    /// Whether no other circuit has these series, as those of a registry have.
    has_own_series: bool,
    ledger: Mutex<Ledger>,
}

/// A recorder is user code. Its panics are caught, because they must not fail the call that caused an event.
impl Metrics {
    /// `name` is the name of the breaker. It differs from the name of the series for the circuits of a
    /// registry.
    pub(super) fn new(series: Series, name: &Arc<str>) -> Self {
        let has_own_series = Arc::ptr_eq(name, series.registrar().breaker());
        // This looks for a recorder before other threads can find the circuit. Otherwise a refresh by another
        // thread might find that thread's local recorder first.
        catch_panic(|| _ = series.handles());
        Self { series, has_own_series, ledger: Mutex::default() }
    }

    pub(super) fn interest(&self) -> Option<Interest> {
        Some(if self.series.has_durations() { Interest::Durations } else { Interest::Calls })
    }

    pub(super) fn watches(&self) -> Watches {
        if self.series.has_durations() { Watches::Durations } else { Watches::Batches }
    }

    // ---- called with the circuit's lock held --------------------------------------------------

    pub(super) fn record(&self, change: &Change) {
        lock(&self.ledger).record(change);
    }

    pub(super) fn read(&self, machine: &Machine, now: Tick) {
        lock(&self.ledger).read(machine, now, self.has_own_series);
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
            let (counters, to) = (self.series.counters(), self.series.registrar());
            counters.add_waiting(to);
            handles.add(&entry, counters, to);
            self.series.keep(REFRESHES.load(Ordering::Relaxed));
        });
    }

    /// Counts what a single call did.
    pub(super) fn on_event(&self, kind: EventKind<'_>) {
        catch_panic(|| {
            let handles = self.find_handles();
            self.series.counters().count(kind, self.series.registrar());
            if let (Some(handles), EventKind::Settled(settled)) = (handles, kind) {
                handles.record_duration(settled);
            }
        });
    }

    /// Counts calls that have succeeded and were neither slow nor late.
    pub(super) fn calls_succeeded(&self, n: u64) {
        catch_panic(|| {
            self.find_handles();
            self.series.counters().count_successes(n, self.series.registrar());
        });
    }

    fn find_handles(&self) -> Option<&Handles> {
        self.series.found().or_else(|| self.find_recorder())
    }

    #[cold]
    fn find_recorder(&self) -> Option<&Handles> {
        let handles = self.series.handles()?;
        self.publish(); // what was recorded before there was a recorder
        Some(handles)
    }
}
