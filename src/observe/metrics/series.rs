//! [`Series`]: the metrics of all breakers with one name, as a recorder knows them.

use std::sync::{Arc, OnceLock};

use ::metrics::Key;

use super::handles::{self, Handles, Rates};
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
    /// The value of the label.
    breaker: Arc<str>,
    /// Whether there is a histogram of durations.
    has_durations: bool,
    /// The key of a series that shows whether there is a recorder. It is kept because every call asks
    /// while there is none.
    test_key: Key,
    handles: OnceLock<Handles>,
    rates: OnceLock<Rates>,
}

impl Series {
    pub(crate) fn new(breaker: Arc<str>) -> Self {
        Self::unregistered(breaker, false)
    }

    /// Returns the same series with a histogram of durations.
    pub(crate) fn with_durations(&self) -> Self {
        Self::unregistered(self.0.breaker.clone(), true)
    }

    fn unregistered(breaker: Arc<str>, has_durations: bool) -> Self {
        Self(Arc::new(Registration {
            test_key: handles::test_key(&breaker),
            breaker,
            has_durations,
            handles: OnceLock::new(),
            rates: OnceLock::new(),
        }))
    }

    pub(super) fn breaker(&self) -> &Arc<str> {
        &self.0.breaker
    }

    pub(super) fn has_durations(&self) -> bool {
        self.0.has_durations
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

    #[cold]
    fn register(&self) -> Option<&Handles> {
        let Registration { breaker, test_key, has_durations, handles, .. } = &*self.0;
        if !handles::is_there_a_recorder(test_key) {
            return None;
        }
        // The recorder is user code, so it does not run within `get_or_init`, where it would block other
        // threads. Registering twice has no further effect.
        let registered = Handles::register(breaker, *has_durations);
        Some(handles.get_or_init(|| registered))
    }

    pub(super) fn rates(&self) -> &Rates {
        let Registration { breaker, rates, .. } = &*self.0;
        rates.get().unwrap_or_else(|| {
            let registered = Rates::register(breaker);
            rates.get_or_init(|| registered)
        })
    }
}

impl Drop for Registration {
    /// A handle is user code, and may panic when it is dropped.
    fn drop(&mut self) {
        let (handles, rates) = (self.handles.take(), self.rates.take());
        catch_panic(|| drop(handles));
        catch_panic(|| drop(rates));
    }
}
