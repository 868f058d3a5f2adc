//! [`RegistryMetrics`]: the metrics of a registry of circuits.

use std::mem;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, OnceLock, PoisonError, Weak};

use ::metrics::{Counter, Gauge};

use super::names::{REGISTRY_CAPACITY, REGISTRY_CIRCUITS, REGISTRY_UNKEPT_CALLS, Registrar};
use super::series::Series;
use crate::circuit::catch_panic;
use crate::circuit::sync::{Mutex, lock};

pub(in crate::observe) struct RegistryMetrics {
    series: Series,
    handles: OnceLock<Handles>,
    ledger: Mutex<Ledger>,
}

struct Handles {
    circuits: Gauge,
    capacity: Gauge,
    unkept_calls: Counter,
}

/// The current numbers, and those that the gauges show. The gauges of registries with the same name add up, so each
/// registry adds only its differences.
#[derive(Default)]
struct Ledger {
    circuits: i64,
    circuits_shown: i64,
    capacity: i64,
    capacity_shown: i64,
    /// The calls that the counter does not show yet.
    unkept_calls: u64,
}

/// Recorders are user code, so they are called without any lock held, and their panics are caught.
impl RegistryMetrics {
    pub(in crate::observe) fn new(series: Series, capacity: u64) -> Arc<Self> {
        let capacity = i64::try_from(capacity).unwrap_or(i64::MAX);
        let ledger = Mutex::new(Ledger { capacity, ..Ledger::default() });
        let this = Arc::new(Self { series, handles: OnceLock::new(), ledger });
        let mut all = all();
        all.retain(|metrics| metrics.strong_count() > 0);
        all.push(Arc::downgrade(&this));
        drop(all);
        this.publish();
        this
    }

    pub(in crate::observe) fn resized(&self, change: i64) {
        lock(&self.ledger).circuits += change;
        self.publish();
    }

    pub(in crate::observe) fn call_unkept(&self) {
        lock(&self.ledger).unkept_calls += 1;
        self.publish();
    }

    /// Takes a registry that is dropped out of the gauges. Its counter stays.
    pub(in crate::observe) fn stop(&self) {
        let mut ledger = lock(&self.ledger);
        (ledger.circuits, ledger.capacity) = (0, 0);
        drop(ledger);
        self.publish();
    }

    /// Shows what has changed, if there is a recorder. Several threads may do so at once and in any order.
    fn publish(&self) {
        catch_panic(|| {
            if let Some(handles) = self.handles() {
                let due = lock(&self.ledger).take();
                handles.add(&due);
            }
        });
    }

    fn handles(&self) -> Option<&Handles> {
        self.handles.get().or_else(|| {
            self.series.handles()?; // describes the metrics
            let registered = Handles::register(self.series.registrar())?;
            Some(self.handles.get_or_init(|| registered))
        })
    }
}

impl Drop for RegistryMetrics {
    /// A handle is user code, and may panic when it is dropped.
    fn drop(&mut self) {
        let handles = self.handles.take();
        catch_panic(|| drop(handles));
    }
}

impl Handles {
    fn register(to: &Registrar) -> Option<Self> {
        to.find_recorder(|found| Self {
            circuits: found.gauge(REGISTRY_CIRCUITS, &[]),
            capacity: found.gauge(REGISTRY_CAPACITY, &[]),
            unkept_calls: found.counter(REGISTRY_UNKEPT_CALLS, &[]),
        })
    }

    fn add(&self, due: &Due) {
        self.circuits.increment(due.circuits as f64);
        self.capacity.increment(due.capacity as f64);
        self.unkept_calls.increment(due.unkept_calls);
    }
}

/// What is to be added to the metrics.
struct Due {
    circuits: i64,
    capacity: i64,
    unkept_calls: u64,
}

impl Ledger {
    fn take(&mut self) -> Due {
        let Self { circuits, circuits_shown, capacity, capacity_shown, unkept_calls } = self;
        Due {
            circuits: *circuits - mem::replace(circuits_shown, *circuits),
            capacity: *capacity - mem::replace(capacity_shown, *capacity),
            unkept_calls: mem::take(unkept_calls),
        }
    }
}

/// Publishes the changes of all registries. This shows registries that do not change to a recorder that was
/// installed later.
pub(super) fn refresh() {
    let all: Vec<_> = all().iter().filter_map(Weak::upgrade).collect();
    all.iter().for_each(|metrics| metrics.publish());
}

fn all() -> MutexGuard<'static, Vec<Weak<RegistryMetrics>>> {
    static ALL: StdMutex<Vec<Weak<RegistryMetrics>>> = StdMutex::new(Vec::new());
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}
