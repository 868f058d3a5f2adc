//! [`CircuitBreakerRegistry`].

use std::borrow::Borrow;
use std::cell::RefCell;
use std::fmt::{self, Display};
use std::hash::Hash;
use std::sync::Arc;

use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, OptionsBuilder, UnitWeighter};

use crate::breaker::CircuitBreaker;
use crate::circuit::sync::{RwLock, read, write};
use crate::circuit::{Circuit, Permit, Rejected, clock};
use crate::config::CircuitBreakerBuilder;
use crate::machine::{Nanos, Tick};

/// Circuits by key, all with the settings of one template: a cheap handle, whose clones are the same
/// registry.
///
/// The circuit of a key is made when it is first asked for. Its name is `template/key`. The
/// [module](crate::keyed) says when it goes.
///
/// `Hash`, `Eq` and `Drop` of the keys run with a lock held, so they must not ask the registry.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::keyed::CircuitBreakerRegistry;
/// use tower_breaker::{CircuitBreaker, ConfigError, State};
///
/// let template = CircuitBreaker::builder("shard").consecutive_failures(3);
/// let shards: CircuitBreakerRegistry<u32> = CircuitBreakerRegistry::builder(template)
///     .capacity(64)
///     .idle_timeout(Duration::from_secs(3600))
///     .build()?;
///
/// for _ in 0..3 {
///     shards.try_acquire(&7).unwrap().failure();
/// }
/// assert!(shards.try_acquire(&7).is_err());
/// shards.try_acquire(&8).unwrap().success();
///
/// for breaker in shards.list() {
///     println!("{}: {:?}", breaker.name(), breaker.snapshot());
/// }
/// if let Some(breaker) = shards.get(&7) {
///     assert_eq!(breaker.state(), State::Open);
///     breaker.reset(); // an operator knows better
/// }
/// # Ok::<(), ConfigError>(())
/// ```
pub struct CircuitBreakerRegistry<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    template: CircuitBreakerBuilder,
    capacity: usize,
    idle_timeout: Nanos,
    kept: RwLock<Kept<K>>,
}

struct Kept<K> {
    circuits: Cache<K, Entry, UnitWeighter, DefaultHashBuilder, KeepBusy>,
    sweep_due: Tick,
    /// So many newcomers are turned away before one is let in on trial.
    turned_away: usize,
}

/// The circuit stands beside its handle, so that a call need not look there for it.
struct Entry {
    circuit: &'static Circuit,
    breaker: CircuitBreaker,
}

/// While all circuits are busy, a newcomer costs a look at so many of them on average.
const LOOKED_AT: usize = 64;

/// Circuits that are not at rest, or of which there are handles elsewhere, are not evicted.
#[derive(Clone)]
struct KeepBusy;

impl<K> Lifecycle<K, Entry> for KeepBusy {
    /// Those that were evicted, to be dropped without the lock.
    type RequestState = Vec<(K, Entry)>;

    fn is_pinned(&self, _: &K, entry: &Entry) -> bool {
        entry.breaker.is_shared() || !entry.circuit.is_at_rest()
    }

    fn on_evict(&self, evicted: &mut Self::RequestState, key: K, entry: Entry) {
        evicted.push((key, entry));
    }
}

impl<K: Eq + Hash> CircuitBreakerRegistry<K> {
    pub(super) fn start(
        template: CircuitBreakerBuilder,
        capacity: usize,
        idle_timeout: Nanos,
    ) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(capacity)
            .weight_capacity(capacity as u64)
            .build();
        let kept = Kept {
            circuits: Cache::with_options(
                options.expect("both capacities are set"),
                UnitWeighter,
                DefaultHashBuilder::default(),
                KeepBusy,
            ),
            sweep_due: clock::now().saturating_add(idle_timeout),
            turned_away: 0,
        };
        let shared = Shared { template, capacity, idle_timeout, kept: RwLock::new(kept) };
        Self { shared: Arc::new(shared) }
    }

    /// Asks the circuit of a key for admission, as
    /// [`CircuitBreaker::try_acquire`](crate::CircuitBreaker::try_acquire) does. The circuit is made
    /// if there is none.
    ///
    /// This is what a [`KeyedLayer`](crate::keyed::KeyedLayer) does for a call. It is cheaper than to
    /// ask for a handle first.
    ///
    /// # Errors
    /// A [`Rejected`] if the call is not admitted.
    #[inline]
    pub fn try_acquire<Q>(&self, key: &Q) -> Result<Permit, Rejected>
    where
        K: Borrow<Q> + Display,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.ask(key, || key.to_owned())
    }

    /// The same for whatever can be compared with a key and made one.
    ///
    /// Inlined in any case, and with a result of its own for each way: if both wrote theirs to the same
    /// place, it would be in memory, and to read a permit from there takes as long as to look it up.
    #[inline(always)]
    pub(super) fn ask<Q>(&self, key: &Q, to_owned: impl FnOnce() -> K) -> Result<Permit, Rejected>
    where
        K: Display,
        Q: Equivalent<K> + Hash + ?Sized,
    {
        let kept = read(&self.shared.kept);
        let found = kept.circuits.get(key);
        // With the lock held, so that the call is in flight before the circuit can be dropped. What
        // else there may be to do may call listeners.
        if let Some(permit) = found.and_then(|entry| entry.circuit.admit_if_closed()) {
            found.inspect(|entry| entry.circuit.mark_used());
            return Ok(permit);
        }
        let found = found.map(|entry| entry.breaker.clone());
        drop(kept);
        match self.found_or_created(found, key, to_owned).try_acquire() {
            Ok(permit) => Ok(permit),
            Err(rejected) => Err(rejected),
        }
    }

    /// The circuit of a key, which is made if there is none. Whoever asks in this way uses it.
    ///
    /// If there is no room and all others are busy, the circuit that is returned is not kept: who asks
    /// next with this key gets another one.
    pub fn get_or_create<Q>(&self, key: &Q) -> CircuitBreaker
    where
        K: Borrow<Q> + Display,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let kept = read(&self.shared.kept);
        let found = kept.circuits.get(key).map(|entry| entry.breaker.clone());
        drop(kept);
        self.found_or_created(found, key, || key.to_owned())
    }

    #[cold]
    fn found_or_created<Q>(
        &self,
        found: Option<CircuitBreaker>,
        key: &Q,
        to_owned: impl FnOnce() -> K,
    ) -> CircuitBreaker
    where
        K: Display,
        Q: Equivalent<K> + Hash + ?Sized,
    {
        let breaker = found.unwrap_or_else(|| self.create(key, to_owned()));
        breaker.circuit().mark_used();
        breaker
    }

    fn create<Q>(&self, key: &Q, own: K) -> CircuitBreaker
    where
        K: Display,
        Q: Equivalent<K> + Hash + ?Sized,
    {
        self.sweep();
        let Shared { template, capacity, kept, .. } = &*self.shared;
        let newcomer = template.for_key(&own).build().expect("the template was validated");
        // Declared before the lock is taken, hence dropped after it is released.
        let mut evicted = Vec::new();
        let Kept { circuits, turned_away, .. } = &mut *write(kept);
        if let Some(entry) = circuits.get(key) {
            return entry.breaker.clone(); // somebody was faster
        }
        if *turned_away > 0 && circuits.len() >= *capacity {
            *turned_away -= 1;
            return newcomer;
        }
        let entry = Entry { circuit: newcomer.circuit(), breaker: newcomer.clone() };
        circuits.insert_with_lifecycle(own, entry, &mut evicted);
        // The cache looks at all its entries for one to evict, and grows if there is none.
        if circuits.len() > *capacity {
            evicted.extend(circuits.remove(key));
            *turned_away = *capacity / LOOKED_AT;
        }
        newcomer
    }

    /// The circuit of a key, if there is one: for operators. Looking does not count as use, but the
    /// circuit stays at least as long as the handle.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<CircuitBreaker>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let kept = read(&self.shared.kept);
        kept.circuits.peek(key).map(|entry| entry.breaker.clone())
    }

    /// All circuits, in no particular order: for operators. Looking does not count as use, but the
    /// circuits stay at least as long as the handles.
    #[must_use]
    pub fn list(&self) -> Vec<CircuitBreaker> {
        let kept = read(&self.shared.kept);
        kept.circuits.iter().map(|(_, entry)| entry.breaker.clone()).collect()
    }

    /// How many circuits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        read(&self.shared.kept).circuits.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the circuits that have been idle for the
    /// [idle time](CircuitBreakerRegistryBuilder::idle_timeout). It does nothing if the last sweep
    /// was less than that ago, so it may be called as often as you like.
    ///
    /// Each new circuit sweeps, so there is no need to call it, unless circuits are to go although no
    /// new ones come.
    pub fn sweep(&self) {
        let Shared { kept, idle_timeout, .. } = &*self.shared;
        let now = clock::now();
        // Looked at first, so that those who find nothing to do hinder no calls.
        if now < read(kept).sweep_due {
            return;
        }
        // Declared before the lock is taken, hence dropped after it is released.
        let swept = RefCell::new(Vec::new());
        let Kept { circuits, sweep_due, .. } = &mut *write(kept);
        if now < *sweep_due {
            return; // somebody was faster
        }
        *sweep_due = now.saturating_add(*idle_timeout);
        circuits.retain(|_, Entry { circuit, breaker }| {
            // The mark stays while it is busy, so its idle time begins when it no longer is.
            let is_busy = breaker.is_shared() || !circuit.is_idle(now);
            let stays = is_busy || circuit.take_used();
            if !stays {
                swept.borrow_mut().push(breaker.clone());
            }
            stays
        });
    }
}

impl<K> Clone for CircuitBreakerRegistry<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K> fmt::Debug for CircuitBreakerRegistry<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerRegistry")
            .field("template", &self.shared.template)
            .field("capacity", &self.shared.capacity)
            .finish_non_exhaustive()
    }
}
