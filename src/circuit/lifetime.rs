//! How a circuit begins and ends its work for a breaker.

use std::panic::RefUnwindSafe;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use super::enforcement::Enforcement;
use super::locked::{LockedBreaker, LockedState};
use super::observer::Observer;
use super::slices::Slices;
use super::sync::{AtomicU64, Mutex, lock};
use super::waiters::Waiters;
use super::{Circuit, PublishedState, clock, pool};
use crate::machine::{Machine, Rules};

// A panic of user code never leaves a circuit in a broken state: no user code runs under its lock.
impl RefUnwindSafe for Circuit {}

impl Circuit {
    pub(super) fn new() -> Self {
        Self {
            published: PublishedState {
                status: AtomicU64::default(),
                refusal: AtomicU64::default(),
                slices: Slices::new(),
            },
            locked: Mutex::default(),
            watch: ArcSwapOption::empty(),
            enforcement: Enforcement::default(),
            waiters: Waiters::default(),
            ages: OnceLock::new(),
        }
    }

    /// Takes a circuit from the pool and lets it work for a breaker. `seed` determines the jitter.
    pub(crate) fn start(
        rules: Arc<Rules>,
        observer: Arc<dyn Observer>,
        counts_in_flight: bool,
        seed: u64,
    ) -> &'static Self {
        let circuit = pool::take();
        let mut locked = lock(&circuit.locked);
        let now = clock::now();
        let machine = Machine::new(rules, locked.last_ticket(), seed, now);
        observer.read(&machine, now);
        circuit.enforcement.clear_credit();
        let mut breaker = LockedBreaker::new(machine, observer, counts_in_flight);
        circuit.begin_batches(breaker.first_ticket());
        circuit.follow_rules(&mut breaker);
        *locked = LockedState::Working(breaker);
        circuit.publish(&mut locked);
        drop(locked);
        circuit
    }

    /// Ends the work for a breaker. The results of calls that are still in flight have no effect.
    pub(crate) fn stop(&'static self) {
        let mut locked = lock(&self.locked);
        self.end_slice(&mut locked);
        if let Some(breaker) = locked.breaker() {
            breaker.read(clock::now());
        }
        self.stop_watching(); // the next breaker may have a clock that is behind
        let last_ticket = locked.last_ticket();
        let breaker = std::mem::replace(&mut *locked, LockedState::Free { last_ticket });
        self.publish(&mut locked);
        drop(locked);
        // Without the lock, because this may drop the listeners of a user.
        drop(breaker);
        self.report_batches();
        self.watch.store(None);
        self.waiters.wake_all(); // those that do not keep the breaker alive have nothing to wait for any more
        pool::put(self);
    }

    /// Whether the calls of the last breaker have all ended, if they are counted. Called after the breaker has
    /// [stopped](Self::stop), so no call can begin.
    pub(super) fn is_drained(&self) -> bool {
        self.published.slices.have_no_calls()
    }
}
