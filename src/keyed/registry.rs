//! [`CircuitBreakerRegistry`].

use std::borrow::Borrow;
use std::cell::RefCell;
use std::fmt::{self, Display};
use std::hash::Hash;
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, OptionsBuilder, UnitWeighter};

use crate::breaker::CircuitBreaker;
use crate::clock::{self, Nanos, Tick};
use crate::config::CircuitBreakerBuilder;
use crate::keyed::CircuitBreakerRegistryBuilder;
use crate::sync::{Mutex, lock};

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
///     shards.get_or_create(&7).try_acquire().unwrap().failure();
/// }
/// assert_eq!(shards.get_or_create(&7).state(), State::Open);
/// assert_eq!(shards.get_or_create(&8).state(), State::Closed);
///
/// for breaker in shards.list() {
///     println!("{}: {:?}", breaker.name(), breaker.snapshot());
/// }
/// if let Some(breaker) = shards.get(&7) {
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
    circuits: Cache<K, CircuitBreaker, UnitWeighter, DefaultHashBuilder, KeepBusy>,
    /// Newcomers are let in one at a time, so that no more than one is too many.
    door: Mutex<Door>,
}

struct Door {
    sweep_due: Tick,
    /// So many newcomers are turned away before one is let in on trial.
    turned_away: usize,
}

/// While all circuits are busy, a newcomer costs a look at so many of them on average.
const LOOKED_AT: usize = 64;

/// Circuits that are not at rest, or of which there are handles elsewhere, are not evicted.
#[derive(Clone)]
struct KeepBusy;

impl<K> Lifecycle<K, CircuitBreaker> for KeepBusy {
    /// Those that were evicted, to be dropped without the lock.
    type RequestState = Vec<(K, CircuitBreaker)>;

    fn is_pinned(&self, _: &K, breaker: &CircuitBreaker) -> bool {
        breaker.is_shared() || !breaker.circuit().is_at_rest()
    }

    fn on_evict(&self, evicted: &mut Self::RequestState, key: K, breaker: CircuitBreaker) {
        evicted.push((key, breaker));
    }
}

impl<K> CircuitBreakerRegistry<K> {
    /// A builder with the defaults. The `template` has the settings of all circuits, and the first
    /// part of their names.
    pub fn builder(template: CircuitBreakerBuilder) -> CircuitBreakerRegistryBuilder<K> {
        CircuitBreakerRegistryBuilder::new(template)
    }
}

impl<K: Eq + Hash> CircuitBreakerRegistry<K> {
    pub(super) fn start(
        template: CircuitBreakerBuilder,
        capacity: usize,
        idle_timeout: Nanos,
    ) -> Self {
        // One shard: of several, one could be full of open circuits while the others are empty.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(capacity)
            .weight_capacity(capacity as u64)
            .build();
        let shared = Shared {
            template,
            capacity,
            idle_timeout,
            circuits: Cache::with_options(
                options.expect("both capacities are set"),
                UnitWeighter,
                DefaultHashBuilder::default(),
                KeepBusy,
            ),
            door: Mutex::new(Door {
                sweep_due: clock::now().saturating_add(idle_timeout),
                turned_away: 0,
            }),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The circuit of a key, which is made if there is none. Whoever asks in this way uses it.
    ///
    /// If there is no room and all others are busy, the circuit that is returned is not kept: who asks
    /// next with this key gets another one.
    #[inline]
    pub fn get_or_create<Q>(&self, key: &Q) -> CircuitBreaker
    where
        K: Borrow<Q> + Display,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.find_or_create(key, || key.to_owned())
    }

    /// The same for whatever can be compared with a key and made one.
    #[inline]
    pub(super) fn find_or_create<Q>(&self, key: &Q, to_owned: impl FnOnce() -> K) -> CircuitBreaker
    where
        K: Display,
        Q: Equivalent<K> + Hash + ?Sized,
    {
        let breaker = match self.shared.circuits.get(key) {
            Some(breaker) => breaker,
            None => self.create(key, to_owned),
        };
        breaker.mark_used();
        breaker
    }

    #[cold]
    fn create<Q>(&self, key: &Q, to_owned: impl FnOnce() -> K) -> CircuitBreaker
    where
        K: Display,
        Q: Equivalent<K> + Hash + ?Sized,
    {
        self.sweep();
        let Shared { template, capacity, circuits, door, .. } = &*self.shared;
        let own = to_owned();
        let newcomer = template.for_key(&own).build().expect("the template was validated");
        let mut evicted = Vec::new();
        let mut door = lock(door);
        if let Some(breaker) = circuits.get(key) {
            return breaker; // somebody was faster
        }
        if door.turned_away > 0 && circuits.len() >= *capacity {
            door.turned_away -= 1;
            return newcomer;
        }
        circuits.insert_with_lifecycle(own, newcomer.clone(), &mut evicted);
        // The cache looks at all its entries for one to evict, and grows if there is none.
        if circuits.len() > *capacity {
            evicted.extend(circuits.remove(key));
            door.turned_away = *capacity / LOOKED_AT;
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
        self.shared.circuits.peek(key)
    }

    /// All circuits, in no particular order: for operators. Looking does not count as use, but the
    /// circuits stay at least as long as the handles.
    #[must_use]
    pub fn list(&self) -> Vec<CircuitBreaker> {
        let _door = lock(&self.shared.door);
        let list = RefCell::new(Vec::with_capacity(self.shared.circuits.len()));
        self.shared.circuits.retain(|_, breaker| {
            list.borrow_mut().push(breaker.clone());
            true
        });
        list.into_inner()
    }

    /// How many circuits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let _door = lock(&self.shared.door);
        self.shared.circuits.len()
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
        let now = clock::now();
        if !self.is_sweep_due(now) {
            return;
        }
        // Kept so that they are dropped without the lock.
        let swept = RefCell::new(Vec::new());
        self.shared.circuits.retain(|_, breaker| {
            // The mark stays while it is busy, so its idle time begins when it no longer is.
            let is_busy = breaker.is_shared() || !breaker.circuit().is_idle(now);
            let stays = is_busy || breaker.take_used();
            if !stays {
                swept.borrow_mut().push(breaker.clone());
            }
            stays
        });
    }

    fn is_sweep_due(&self, now: Tick) -> bool {
        let mut door = lock(&self.shared.door);
        let is_due = now >= door.sweep_due;
        if is_due {
            door.sweep_due = now.saturating_add(self.shared.idle_timeout);
        }
        is_due
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
