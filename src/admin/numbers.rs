//! [`Numbers`]: the addresses of the circuits that were listed, and how many of their calls are rejected.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::{CircuitBreaker, WeakCircuitBreaker};
use crate::circuit::Name;
use crate::circuit::sync::lock;

#[derive(Default)]
pub(super) struct Numbers(Mutex<Numbered>);

#[derive(Default)]
struct Numbered {
    last: u64,
    circuits: HashMap<u64, Entry>,
    /// By the address of the name, which is unique because the entry keeps the name.
    numbers: HashMap<usize, u64>,
    /// How many entries there may be before those of circuits that are gone are removed.
    limit: usize,
}

struct Entry {
    /// Nobody else gets its address while it is kept.
    _name: Name,
    circuit: WeakCircuitBreaker,
    registry: Option<Arc<str>>,
    rejections: Rejections,
}

/// A circuit that has a number.
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) breaker: CircuitBreaker,
    /// The name of its registry.
    pub(super) registry: Option<Arc<str>>,
    pub(super) rejections_per_second: Option<f64>,
}

/// At least this many entries are kept.
const LEAST: usize = 1024;

impl Numbers {
    /// Gives the circuit a number, unless it has one.
    pub(super) fn number(&self, breaker: CircuitBreaker, registry: Option<&Arc<str>>) -> Found {
        let rejections = breaker.rejections_since_shown();
        let name = breaker.shared_name();
        let mut this = lock(&self.0);
        let number = match this.numbers.get(&address(name)) {
            Some(number) => *number,
            None => this.add(name.clone(), breaker.downgrade(), registry.cloned()),
        };
        let rejections_per_second =
            this.circuits.get_mut(&number).and_then(|entry| entry.rejections.rate(rejections));
        Found { number, breaker, registry: registry.cloned(), rejections_per_second }
    }

    /// Returns the circuit with a number.
    pub(super) fn find(&self, number: u64) -> Option<Found> {
        let (breaker, registry) = {
            let this = lock(&self.0);
            let entry = this.circuits.get(&number)?;
            (entry.circuit.upgrade()?, entry.registry.clone())
        };
        Some(self.number(breaker, registry.as_ref()))
    }

    pub(super) fn of(&self, name: &Name) -> Option<u64> {
        lock(&self.0).numbers.get(&address(name)).copied()
    }
}

fn address(name: &Name) -> usize {
    Arc::as_ptr(name).addr()
}

impl Numbered {
    fn add(&mut self, name: Name, circuit: WeakCircuitBreaker, registry: Option<Arc<str>>) -> u64 {
        if self.circuits.len() >= self.limit {
            self.circuits.retain(|_, entry| entry.circuit.is_alive());
            let circuits = &self.circuits;
            self.numbers.retain(|_, number| circuits.contains_key(number));
            self.limit = LEAST.max(2 * self.circuits.len());
        }
        self.last += 1;
        self.numbers.insert(address(&name), self.last);
        let rejections = Rejections::default();
        self.circuits.insert(self.last, Entry { _name: name, circuit, registry, rejections });
        self.last
    }
}

/// How many rejections there were when somebody looked, oldest first.
#[derive(Default)]
struct Rejections(VecDeque<(Instant, u64)>);

impl Rejections {
    /// Over how long the mean is taken.
    const PERIOD: Duration = Duration::from_secs(10);
    /// The shortest time between two looks that are kept.
    const STEP: Duration = Duration::from_secs(1);

    /// Notes that there are this many now. Returns the mean rate, if there is an earlier look.
    fn rate(&mut self, count: u64) -> Option<f64> {
        let now = Instant::now();
        let looks = &mut self.0;
        // One that is old enough is kept.
        while looks.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= Self::PERIOD) {
            looks.pop_front();
        }
        let rate = looks.front().and_then(|(at, before)| {
            let seconds = now.duration_since(*at).as_secs_f64();
            (seconds >= 0.5).then(|| count.saturating_sub(*before) as f64 / seconds)
        });
        if looks.back().is_none_or(|(at, _)| now.duration_since(*at) >= Self::STEP) {
            looks.push_back((now, count));
        }
        rate
    }
}
