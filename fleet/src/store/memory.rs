//! [`MemoryStore`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::{Action, Answer, Exchange, Hint, Store, StoreError, quorum};

/// Hints that are kept for a slow instance.
const HINTS: usize = 64;

/// Votes in the memory of this process, for tests and simulations. Its clones share the votes, so give one to each
/// instance.
///
/// It works on tokio's clock, which a test can pause. Its [`link`](Self::link) cuts off one instance, or makes the store
/// slow for it.
///
/// # Example
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use std::time::Duration;
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker_fleet::{Fleet, MemoryStore};
///
/// let store = MemoryStore::new();
/// let (mut fleets, mut breakers) = (Vec::new(), Vec::new());
/// for _ in 0..3 {
///     let breaker = CircuitBreaker::new("payments");
///     let fleet = Fleet::builder("shop", store.clone()).spawn()?;
///     fleet.add(&breaker)?;
///     fleets.push(fleet);
///     breakers.push(breaker);
/// }
/// tokio::time::sleep(Duration::from_secs(1)).await;
/// breakers[0].trip();
/// breakers[1].trip();
/// tokio::time::sleep(Duration::from_secs(1)).await;
/// assert!(breakers[2].snapshot().suspected_for().is_some());
/// # Ok::<(), tower_breaker_fleet::FleetError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    hints: tokio::sync::Mutex<broadcast::Receiver<Key>>,
    link: MemoryLink,
}

/// The name of a fleet, and the key of a circuit.
type Key = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct Shared {
    fleets: Mutex<HashMap<Arc<str>, Fleet>>,
    hints: broadcast::Sender<Key>,
    exchanges: AtomicU64,
    hints_sent: AtomicU64,
}

#[derive(Debug, Default)]
struct Fleet {
    instances: Expiring,
    votes: HashMap<Arc<str>, Expiring>,
}

/// Instances, each with when it expires.
#[derive(Debug, Default)]
struct Expiring(HashMap<Arc<str>, Instant>);

/// The connection of one instance to a [`MemoryStore`]. Its clones are the same connection.
#[derive(Debug, Clone)]
pub struct MemoryLink(Arc<Mutex<Link>>);

#[derive(Debug, Clone, Copy)]
struct Link {
    is_up: bool,
    delay: Duration,
}

impl MemoryLink {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Link { is_up: true, delay: Duration::ZERO })))
    }

    /// Cuts the connection, so that every exchange fails and no hint comes, or mends it.
    pub fn set_up(&self, is_up: bool) {
        lock(&self.0).is_up = is_up;
    }

    /// Lets every exchange take so long. The default is zero.
    pub fn set_delay(&self, delay: Duration) {
        lock(&self.0).delay = delay;
    }

    fn is_up(&self) -> Result<(), StoreError> {
        if lock(&self.0).is_up { Ok(()) } else { Err(StoreError::new("the connection is cut")) }
    }
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            fleets: Mutex::default(),
            hints: broadcast::channel(HINTS).0,
            exchanges: AtomicU64::default(),
            hints_sent: AtomicU64::default(),
        };
        Self::with(Arc::new(shared))
    }

    fn with(shared: Arc<Shared>) -> Self {
        let hints = tokio::sync::Mutex::new(shared.hints.subscribe());
        Self { shared, hints, link: MemoryLink::new() }
    }

    /// Returns the connection of the instance that gets this store. Another clone has a connection of its own.
    #[must_use]
    pub fn link(&self) -> MemoryLink {
        self.link.clone()
    }

    /// Forgets everything, as a server does that restarts without its data.
    pub fn clear(&self) {
        lock(&self.shared.fleets).clear();
    }

    /// Returns how many exchanges have been made through all clones.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.shared.exchanges.load(Ordering::Relaxed)
    }

    /// Returns how many hints have been sent through all clones. Each goes to every instance.
    #[must_use]
    pub fn hints(&self) -> u64 {
        self.shared.hints_sent.load(Ordering::Relaxed)
    }

    /// Returns how many votes and instances it holds.
    #[must_use]
    pub fn entries(&self) -> usize {
        let votes = |fleet: &Fleet| fleet.votes.values().map(|it| it.0.len()).sum::<usize>();
        lock(&self.shared.fleets).values().map(|it| it.instances.0.len() + votes(it)).sum()
    }

    /// Sends a hint to every instance, as one does that floods the others.
    pub fn send_hint(&self, fleet: &str, key: &str) {
        self.shared.hints_sent.fetch_add(1, Ordering::Relaxed);
        let _ = self.shared.hints.send((fleet.into(), key.into())); // nobody may be listening
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self::with(self.shared.clone())
    }
}

impl Store for MemoryStore {
    async fn exchange(&self, exchange: &Exchange) -> Result<Answer, StoreError> {
        self.shared.exchanges.fetch_add(1, Ordering::Relaxed);
        self.link.is_up()?;
        let delay = lock(&self.link.0).delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
            self.link.is_up()?;
        }
        let (answer, completed) = {
            let mut fleets = lock(&self.shared.fleets);
            fleets.entry(exchange.fleet.clone()).or_default().exchange(exchange)
        };
        for key in completed {
            self.send_hint(&exchange.fleet, &key);
        }
        Ok(answer)
    }

    async fn hint(&self, fleet: &str) -> Hint {
        let mut hints = self.hints.lock().await;
        loop {
            match hints.recv().await {
                Ok(_) if self.link.is_up().is_err() => {}
                Ok((of, key)) if *of == *fleet => return Hint::Look((*key).into()),
                Ok(_) => {}
                Err(RecvError::Lagged(n)) => return Hint::Dropped(n),
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Fleet {
    /// Returns the answer, and the keys whose votes this has made a quorum.
    fn exchange(&mut self, exchange: &Exchange) -> (Answer, Vec<Arc<str>>) {
        let Exchange { instance, time_to_live, quorum_share, circuits, .. } = exchange;
        let now = Instant::now();
        self.instances.expire(now);
        self.instances.renew(instance, now + *time_to_live);
        let instances = self.instances.0.len() as u64;
        let quorum = quorum(*quorum_share, instances);
        let (mut others, mut completed) = (Vec::new(), Vec::new());
        for (key, action) in circuits {
            let mut votes = self.votes.remove(key).unwrap_or_default();
            votes.expire(now);
            match action {
                Action::Vote => {
                    let is_new = votes.renew(instance, now + *time_to_live);
                    if is_new && votes.0.len() as u64 == quorum {
                        completed.push(key.clone());
                    }
                }
                Action::Withdraw => _ = votes.0.remove(instance),
                Action::Read => {}
            }
            others.push((votes.0.len() - usize::from(votes.0.contains_key(instance))) as u64);
            if !votes.0.is_empty() {
                self.votes.insert(key.clone(), votes);
            }
        }
        (Answer { instances, others }, completed)
    }
}

impl Expiring {
    fn expire(&mut self, now: Instant) {
        self.0.retain(|_, until| *until > now);
    }

    /// Returns whether it is new.
    fn renew(&mut self, instance: &Arc<str>, until: Instant) -> bool {
        self.0.insert(instance.clone(), until).is_none()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
