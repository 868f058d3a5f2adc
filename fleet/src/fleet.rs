//! [`Fleet`]: the handle of a process.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tower_breaker::{CircuitBreaker, WeakCircuitBreaker};

use crate::observe::{Observed, Status};
use crate::settings::{FleetBuilder, FleetError, Settings};
use crate::store::Store;
use crate::task;

/// The most circuits of one fleet.
const CAPACITY: usize = 10_000;

/// A process as a member of a fleet. There is one for each process and server.
///
/// It tells the others which of the circuits that were [added](Self::add) to it are open, and
/// [suspects](CircuitBreaker::suspect) a circuit if enough of the others say that theirs is open. It does nothing else.
/// Everything happens in a task of its own, so no call waits for it. The task ends when the handle is dropped.
pub struct Fleet {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What the handle and the task share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) observed: Observed,
    /// Circuits that the task has not seen yet. At most [`CAPACITY`].
    added: Mutex<Vec<(Arc<str>, WeakCircuitBreaker)>>,
}

impl Fleet {
    /// Creates a builder. All processes with the same `name` and server are a fleet. The name has 1 to 64 letters, digits,
    /// `-`, `_` and `.`.
    pub fn builder<S: Store>(name: impl Into<Arc<str>>, store: S) -> FleetBuilder<S> {
        FleetBuilder::new(name.into(), store)
    }

    pub(crate) fn spawn(settings: Settings, store: impl Store) -> Result<Self, FleetError> {
        let runtime = Handle::try_current().map_err(|_| FleetError::NoRuntime)?;
        let observed = Observed::new(settings.name.clone());
        let shared = Arc::new(Shared { settings, observed, added: Mutex::default() });
        let task = runtime.spawn(task::run(shared.clone(), store)).abort_handle();
        Ok(Self { shared, task })
    }

    /// Adds a circuit. Circuits of all instances that have the same name belong together.
    ///
    /// The fleet does not keep the circuit alive, and adds nothing to what a call does. Add each circuit once.
    ///
    /// # Errors
    /// Returns [`FleetError::Full`] if the fleet has 10,000 circuits that are alive.
    pub fn add(&self, breaker: &CircuitBreaker) -> Result<(), FleetError> {
        let Shared { settings, observed, .. } = &*self.shared;
        let mut added = self.shared.added();
        if observed.circuits.load(Ordering::Relaxed) >= CAPACITY {
            return Err(FleetError::Full { capacity: CAPACITY });
        }
        observed.circuits.fetch_add(1, Ordering::Relaxed);
        added.push((settings.names.key(breaker.name()), breaker.downgrade()));
        Ok(())
    }

    /// Returns what the fleet has done so far, and whether it reaches the store.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.observed.status()
    }

    /// Returns the name of this instance.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.shared.settings.instance
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("name", &self.shared.settings.name)
            .field("instance", &self.instance())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn take_added(&self) -> Vec<(Arc<str>, WeakCircuitBreaker)> {
        std::mem::take(&mut *self.added())
    }

    fn added(&self) -> MutexGuard<'_, Vec<(Arc<str>, WeakCircuitBreaker)>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
