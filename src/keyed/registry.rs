//! [`CircuitBreakerRegistry`].

mod checks;

use std::borrow::Borrow;
use std::fmt::{self, Display};
use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;
use foldhash::fast::RandomState;

use super::entry::Entry;
use super::kept::Kept;
use super::link::Arc;
use super::table::Table;
use crate::breaker::CircuitBreaker;
use crate::circuit::sync::{Mutex, lock};
use crate::circuit::{Permit, Rejected, clock};
use crate::config::{CircuitBreakerBuilder, ConfigError, Template};
use crate::machine::Nanos;
use crate::observe::RegistryObserver;

/// Circuits by key, all with the settings of one template. A cheap handle: clones share the circuits.
///
/// The circuit of a key is created when it is first used. Its name is `template/key`. The
/// [module](crate::keyed) says when it is dropped.
///
/// # Keys
/// `Hash`, `Display`, `ToOwned`, `Clone` and `Drop` of a key run without any lock held. `Eq` also runs while
/// the registry is locked for other changes, so it must not use the registry. If any of them panics, the registry
/// stays as it was, or as it is without the keys that were dropped. A panic in `Drop` ends in the panic hook.
/// A key that is removed while another call is comparing it is dropped by that call.
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
/// for (shard, breaker) in shards.list() {
///     println!("{shard}: {}", breaker.snapshot());
/// }
/// if let Some(breaker) = shards.get(&7) {
///     assert_eq!(breaker.state(), State::Open);
///     breaker.reset(); // by an operator
/// }
/// # Ok::<(), ConfigError>(())
/// ```
pub struct CircuitBreakerRegistry<K> {
    shared: std::sync::Arc<Shared<K>>,
}

struct Shared<K> {
    template: Template,
    capacity: usize,
    hasher: RandomState,
    /// What calls read. It is changed with the lock of `kept` held.
    table: Table<K>,
    kept: Mutex<Kept<K>>,
    observer: RegistryObserver,
}

impl<K> Shared<K> {
    /// Returns how many numbers were looked at, and the entries that have them and are `wanted`. Asks with the lock held.
    fn places(
        &self,
        from: usize,
        wanted: impl Fn(&Entry<K>) -> bool,
    ) -> (usize, Vec<Arc<Entry<K>>>) {
        let kept = lock(&self.kept);
        let places = kept.places(from);
        let entries = places.iter().flatten().filter(|entry| wanted(entry));
        (places.len(), entries.cloned().collect())
    }
}

impl<K> CircuitBreakerRegistry<K> {
    pub(super) fn start(template: Template, capacity: usize, idle_timeout: Nanos) -> Self {
        let kept = Mutex::new(Kept::new(capacity, idle_timeout, clock::now()));
        let observer = template.observer_of_registry(capacity as u64);
        let (hasher, table) = (RandomState::default(), Table::new(capacity));
        let shared = Shared { template, capacity, hasher, table, kept, observer };
        Self { shared: std::sync::Arc::new(shared) }
    }
}

impl<K: Eq + Hash> CircuitBreakerRegistry<K> {
    /// Asks the circuit of a key for admission, as
    /// [`CircuitBreaker::try_acquire`](crate::CircuitBreaker::try_acquire) does. Creates the circuit if
    /// the registry has none for this key.
    ///
    /// A [`KeyedLayer`](crate::keyed::KeyedLayer) uses this method for each call. It is cheaper than
    /// asking for a handle first.
    ///
    /// # Errors
    /// Returns [`Rejected`] if the call is not admitted.
    #[inline]
    pub fn try_acquire<Q>(&self, key: &Q) -> Result<Permit, Rejected>
    where
        K: Borrow<Q> + Display,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.ask(key, || self.found_or_created(key, || key.to_owned()))
    }

    /// Asks the circuit of a key for admission. If the registry has none, `or_create` returns it.
    ///
    /// Always inlined, and with a result of its own in each branch: if both branches wrote to the same variable, it
    /// would be in memory, and reading a permit from there takes as long as the lookup (`cargo bench --bench
    /// keyed`).
    #[inline(always)]
    pub(super) fn ask<Q>(
        &self,
        key: &Q,
        or_create: impl FnOnce() -> CircuitBreaker,
    ) -> Result<Permit, Rejected>
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        let found = self.shared.table.find(self.hash(key), key);
        // The call begins while its thread looks at the entry, so that the circuit is not evicted before the call is
        // in flight.
        if let Some(entry) = found.as_deref() {
            entry.mark_used();
            if let Some(call) = entry.circuit().admit_keyed_if_closed() {
                drop(found);
                return Ok(Permit::of(call));
            }
            return admit(entry.breaker());
        }
        drop(found);
        admit(&or_create())
    }

    /// Returns the circuit of a key. Creates it if the registry has none. This counts as use of the circuit.
    ///
    /// If there is no capacity left, because the circuits that it looks at are all busy, the new circuit is not
    /// kept. Then the next call with this key gets another one. In the numbers of a
    /// [full registry](crate::EventKind::RegistryFull), the handle counts as one call.
    pub fn get_or_create<Q>(&self, key: &Q) -> CircuitBreaker
    where
        K: Borrow<Q> + Display,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.found_or_created(key, || key.to_owned())
    }

    /// Does the same for anything that can be compared with a key and turned into one.
    pub(super) fn found_or_created<Q>(
        &self,
        key: &Q,
        to_owned: impl FnOnce() -> K,
    ) -> CircuitBreaker
    where
        K: Display,
        Q: Equivalent<K> + Hash + ?Sized,
    {
        let hash = self.hash(key);
        let Shared { table, template, .. } = &*self.shared;
        if let Some(found) = used(table.find(hash, key).as_deref()) {
            return found;
        }
        let own = to_owned();
        let rules = template.current();
        let breaker = template.start(&own, &rules);
        let mut unkept = Some(Entry::new(own, hash, breaker.clone()));
        let found = self.change(|kept, removed| {
            // Again, because another thread may have been faster.
            let found = used(table.find(hash, key).as_deref());
            kept.sweep(table, clock::now(), removed);
            if found.is_none() {
                let entry = unkept.take();
                unkept = entry.and_then(|entry| kept.insert(table, entry, removed).err());
            }
            found
        });
        if let Some(found) = found {
            return found;
        }
        // The template may have changed before the circuit was in the registry.
        template.apply(&breaker, Some(rules));
        if unkept.is_some() {
            self.shared.observer.call_unkept(clock::now());
        }
        breaker
    }

    /// Returns the circuit of a key, if the registry has one. For operators: this does not count as use of
    /// the circuit, but the circuit is kept for as long as there are handles to it.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<CircuitBreaker>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash(key);
        let _kept = lock(&self.shared.kept);
        let found = self.shared.table.find(hash, key);
        found.as_deref().map(|entry| entry.breaker().clone())
    }

    /// Removes the circuit of a key from the registry and returns it, if there is one.
    ///
    /// The circuit keeps working for all handles to it. The next call with this key gets a new
    /// circuit. The results of calls that are in flight count only for the removed one.
    pub fn remove<Q>(&self, key: &Q) -> Option<CircuitBreaker>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash(key);
        self.change(|kept, removed| {
            let table = &self.shared.table;
            let entry = table.find(hash, key).clone()?;
            kept.remove(table, &entry);
            let breaker = entry.breaker().clone();
            removed.push(entry);
            Some(breaker)
        })
    }

    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.shared.hasher.hash_one(key)
    }
}

impl<K> CircuitBreakerRegistry<K> {
    /// Returns all circuits with their keys, in no particular order. For operators: this does not count as
    /// use of the circuits, but they are kept for as long as there are handles to them.
    ///
    /// The registry is locked only for a few circuits at a time, so circuits that are created or dropped
    /// meanwhile may or may not be in the list.
    #[must_use]
    pub fn list(&self) -> Vec<(K, CircuitBreaker)>
    where
        K: Clone,
    {
        let mut list = Vec::with_capacity(self.len());
        self.for_each(|entry| {
            if let Some(key) = entry.key() {
                list.push((key.clone(), entry.breaker().clone()));
            }
        });
        list
    }

    /// Changes the settings of all circuits, one by one, while calls go on, as
    /// [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure) does. Circuits that are created
    /// meanwhile and later have the new settings, too.
    ///
    /// The name and the listeners of the registry stay, and those of `template` are ignored. The share of rejections
    /// that are enforced stays in each circuit, unless `template`
    /// [sets it](crate::CircuitBreakerBuilder::enforcement).
    ///
    /// The registry is locked only for a few circuits at a time. If two threads change the settings at the same
    /// time, all circuits end with the same ones, except for a share that only one of the two sets.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, as
    /// [`build`](crate::keyed::CircuitBreakerRegistryBuilder::build) does. All settings stay as they were.
    ///
    /// # Example
    /// ```
    /// use tower_breaker::keyed::CircuitBreakerRegistry;
    /// use tower_breaker::{CircuitBreaker, State};
    ///
    /// let template = CircuitBreaker::builder("shard").consecutive_failures(3);
    /// let shards: CircuitBreakerRegistry<u32> = CircuitBreakerRegistry::builder(template).build()?;
    /// shards.try_acquire(&7).unwrap().failure();
    ///
    /// shards.reconfigure(CircuitBreaker::builder("shard").consecutive_failures(2))?;
    /// shards.try_acquire(&7).unwrap().failure();
    /// assert_eq!(shards.get_or_create(&7).state(), State::Open);
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "a builder is passed as `build` takes it")]
    pub fn reconfigure(&self, template: CircuitBreakerBuilder) -> Result<(), ConfigError> {
        self.shared.template.reconfigure(&template)?;
        self.for_each(|entry| self.shared.template.apply(entry.breaker(), None));
        Ok(())
    }

    /// Visits the next few circuits, beginning with a number. Returns the number to go on with, or `None`
    /// if there are no more. The registry is locked only to look at them.
    #[cfg(feature = "admin")]
    pub(crate) fn some_circuits(
        &self,
        from: usize,
        visit: &mut dyn FnMut(&CircuitBreaker, &'static crate::circuit::Circuit),
    ) -> Option<usize> {
        let (looked_at, entries) = self.shared.places(from, |_| true);
        entries.iter().for_each(|entry| visit(entry.breaker(), entry.circuit()));
        (looked_at > 0).then_some(from + looked_at)
    }

    /// Returns the name of the template.
    #[cfg(feature = "admin")]
    pub(crate) fn name(&self) -> &std::sync::Arc<str> {
        self.shared.template.name()
    }

    /// Lets somebody follow all circuits.
    #[cfg(feature = "admin")]
    pub(crate) fn watch(&self, watcher: std::sync::Weak<dyn crate::observe::Watcher>) {
        self.shared.template.watch(watcher);
    }

    /// Visits the circuits without the lock. Circuits that are created or dropped meanwhile may be left out.
    fn for_each(&self, mut visit: impl FnMut(&Entry<K>)) {
        let mut from = 0;
        loop {
            let (looked_at, entries) = self.shared.places(from, |_| true);
            if looked_at == 0 {
                return;
            }
            from += looked_at;
            entries.iter().for_each(|entry| visit(entry));
        }
    }

    /// Returns how many circuits the registry has.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.shared.kept).len()
    }

    /// Returns whether the registry has no circuits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the circuits that have not been used for the
    /// [idle timeout](crate::keyed::CircuitBreakerRegistryBuilder::idle_timeout).
    ///
    /// Creating circuits does this as well, so call it only if circuits are to be dropped although no new ones
    /// are created. It does nothing if the last sweep ended less than an idle timeout ago, so it can be
    /// called as often as you like. The registry is locked only for a few circuits at a time.
    pub fn sweep(&self) {
        let mut goes_on = lock(&self.shared.kept).is_sweep_due(clock::now());
        while goes_on {
            goes_on =
                self.change(|kept, removed| kept.sweep(&self.shared.table, clock::now(), removed));
        }
    }

    /// Changes what is kept. The entries that are removed are dropped after the lock has been released,
    /// because that runs user code.
    fn change<R>(&self, change: impl FnOnce(&mut Kept<K>, &mut Vec<Arc<Entry<K>>>) -> R) -> R {
        let mut removed = Vec::new();
        let mut kept = lock(&self.shared.kept);
        let before = kept.len();
        let result = change(&mut kept, &mut removed);
        let grown = kept.len() as i64 - before as i64;
        drop(kept);
        self.shared.observer.resized(grown);
        result
    }
}

/// Returns a handle to a circuit that was found, which counts as use.
fn used<K>(found: Option<&Entry<K>>) -> Option<CircuitBreaker> {
    found.map(|entry| {
        entry.mark_used();
        entry.breaker().clone()
    })
}

/// Not inlined, because most calls find their circuit and find it closed.
#[cold]
fn admit(breaker: &CircuitBreaker) -> Result<Permit, Rejected> {
    breaker.try_acquire()
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
