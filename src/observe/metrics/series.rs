//! [`Series`]: the metrics of all breakers with one name, as a recorder knows them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::counters::Counters;
use super::handles::Handles;
use super::names::Registrar;
use crate::circuit::catch_panic;

/// The series of the breakers with one name: the value of their label `breaker`, and the handles that were
/// registered under it.
///
/// A recorder keeps one series for each metric and each combination of labels. Breakers with the same name
/// therefore write to the same series, and their numbers add up. Clones of a `Series` share the handles, so
/// the breakers that are built from clones of one builder, such as the circuits of a registry, register
/// them once. Breakers with the same name that come from different builders register them again, and the
/// recorder returns handles to the same series.
#[derive(Clone)]
pub(crate) struct Series(Arc<Registration>);

struct Registration {
    registrar: Registrar,
    /// Whether there is a histogram of durations.
    has_durations: bool,
    counters: Counters,
    handles: OnceLock<Handles>,
    /// The last [refresh](super::refresh) at which the recorder was told that the series are in use.
    kept: AtomicU64,
}

impl Series {
    pub(crate) fn new(breaker: Arc<str>) -> Self {
        Self::unregistered(breaker, false)
    }

    /// Returns the same series with a histogram of durations.
    pub(crate) fn with_durations(&self) -> Self {
        Self::unregistered(self.registrar().breaker().clone(), true)
    }

    fn unregistered(breaker: Arc<str>, has_durations: bool) -> Self {
        Self(Arc::new(Registration {
            registrar: Registrar::new(breaker),
            has_durations,
            counters: Counters::new(),
            handles: OnceLock::new(),
            kept: AtomicU64::new(0),
        }))
    }

    pub(super) fn registrar(&self) -> &Registrar {
        &self.0.registrar
    }

    pub(super) fn has_durations(&self) -> bool {
        self.0.has_durations
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Returns the handles if a recorder has been found already.
    #[inline]
    pub(super) fn found(&self) -> Option<&Handles> {
        self.0.handles.get()
    }

    /// Returns the handles, or `None` if there is no recorder yet.
    pub(super) fn handles(&self) -> Option<&Handles> {
        self.found().or_else(|| self.register())
    }

    /// Asked for every event while there is no recorder.
    #[cold]
    fn register(&self) -> Option<&Handles> {
        self.registrar().find_recorder(|_| ())?;
        self.register_all()
    }

    /// Not inlined, because the handles take kilobytes on the stack (`cargo bench --bench features`, "no
    /// recorder").
    #[inline(never)]
    fn register_all(&self) -> Option<&Handles> {
        // The recorder is user code, so it does not run within `get_or_init`, where it would block other
        // threads. Registering twice has no further effect.
        let registered = Handles::register(&self.0.registrar, self.0.has_durations)?;
        self.0.counters.begin(&self.0.registrar);
        Some(self.0.handles.get_or_init(|| registered))
    }

    /// Tells the recorder that the series are in use, once for each refresh.
    pub(super) fn keep(&self, refresh: u64) {
        if self.0.kept.swap(refresh, Ordering::Relaxed) != refresh {
            if let Some(handles) = self.found() {
                handles.keep(self.registrar());
                self.0.counters.keep();
            }
        }
    }
}

impl Drop for Registration {
    /// A handle is user code, and may panic when it is dropped.
    fn drop(&mut self) {
        let handles = self.handles.take();
        catch_panic(|| drop(handles));
    }
}
