//! The task of a fleet: when it looks at the circuits, and when it makes an exchange with the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::circuits::Circuits;
use crate::fleet::Shared;
use crate::observe::Observed;
use crate::store::{Exchange, Hint, Store, StoreError};

/// How often the states of the circuits are looked at. It takes no lock of a closed circuit.
const LOOK: Duration = Duration::from_millis(100);

/// The shortest time between two exchanges, whatever happens.
const GAP: Duration = Duration::from_millis(50);

/// The longest time between two attempts to reach a store that is lost, before the jitter.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// The most hints that are taken between two looks.
const HINTS: u32 = 64;

/// The state of the task.
struct Task<S> {
    shared: Arc<Shared>,
    store: S,
    circuits: Circuits,
    next_look: Instant,
    /// When all circuits are due.
    next_round: Instant,
    /// When the next exchange may be made.
    next_exchange: Instant,
    /// Whether an exchange is due although no circuit is, because the instance itself has to be counted.
    is_due: bool,
    /// How many exchanges in a row have failed.
    failures: u32,
    hints: u32,
}

pub(crate) async fn run(shared: Arc<Shared>, store: impl Store) {
    /// Also if the store panics, or the task is aborted.
    struct End(Arc<Shared>);
    impl Drop for End {
        fn drop(&mut self) {
            self.0.observed.ended();
        }
    }
    let _end = End(shared.clone());
    let now = Instant::now();
    let circuits = Circuits::default();
    // Instances that were started together, as by a deployment, are not to come together ever after.
    let next_round = now + part_of(shared.settings.time_to_live / 4);
    let mut task = Task {
        shared,
        store,
        circuits,
        next_look: now,
        next_round,
        next_exchange: now,
        is_due: true,
        failures: 0,
        hints: 0,
    };
    loop {
        task.step().await;
    }
}

impl<S: Store> Task<S> {
    async fn step(&mut self) {
        let takes_hints = self.hints < HINTS;
        tokio::select! {
            hint = self.store.hint(&self.shared.settings.name), if takes_hints => self.take_hint(hint),
            () = sleep_until(self.next_wake()) => {}
        }
        let now = Instant::now();
        if now >= self.next_look {
            self.look(now);
        }
        if now >= self.next_round {
            self.next_round = now + around(self.time_to_live() / 4);
            self.is_due = true;
            self.circuits.make_all_due();
        }
        if self.wants_exchange() && now >= self.next_exchange {
            self.exchange().await;
        }
    }

    fn next_wake(&self) -> Instant {
        let next = self.next_look.min(self.next_round);
        if self.wants_exchange() { next.min(self.next_exchange) } else { next }
    }

    fn wants_exchange(&self) -> bool {
        self.is_due || self.circuits.are_due()
    }

    fn time_to_live(&self) -> Duration {
        self.shared.settings.time_to_live
    }

    fn observed(&self) -> &Observed {
        &self.shared.observed
    }

    fn look(&mut self, now: Instant) {
        self.next_look = now + LOOK;
        self.hints = 0;
        for (key, breaker) in self.shared.take_added() {
            self.circuits.add(key, breaker);
        }
        let gone = self.circuits.look(now, self.time_to_live());
        self.observed().circuits.fetch_sub(gone, Ordering::Relaxed);
    }

    /// All instances get the same hint at the same time, so each waits for a moment of its own before it looks.
    fn take_hint(&mut self, hint: Hint) {
        self.hints += 1;
        let is_waiting = self.wants_exchange();
        match hint {
            Hint::Look(key) if self.circuits.make_due(&key) => {
                // Only once, so that hints that keep coming do not keep it from looking.
                if !is_waiting {
                    let moment = Instant::now() + part_of(self.time_to_live() / 100);
                    self.next_exchange = self.next_exchange.max(moment);
                }
            }
            Hint::Look(_) => self.observed().dropped_hints(1), // nobody here has such a circuit
            Hint::Dropped(n) => self.observed().dropped_hints(n),
        }
    }

    async fn exchange(&mut self) {
        let settings = &self.shared.settings;
        let exchange = Exchange {
            fleet: settings.name.clone(),
            instance: settings.instance.clone(),
            time_to_live: settings.time_to_live,
            quorum_share: settings.quorum_share,
            circuits: self.circuits.take_due(),
        };
        self.is_due = false;
        let answer = match timeout(settings.timeout, self.store.exchange(&exchange)).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::new(format!("no answer within {:?}", settings.timeout))),
        };
        let now = Instant::now();
        let circuits = &exchange.circuits;
        match answer {
            Ok(answer) => {
                self.failures = 0;
                self.next_exchange = now + GAP;
                self.shared.observed.exchanged(answer.instances);
                let suspected = self.circuits.take_answer(circuits, &answer, settings, now);
                self.shared.observed.suspected(suspected);
            }
            Err(error) => {
                self.shared.observed.failed(&error);
                self.next_exchange = now + around(self.backoff());
                self.failures = self.failures.saturating_add(1);
                self.is_due = true;
                circuits.iter().for_each(|(key, _)| _ = self.circuits.make_due(key));
            }
        }
    }

    fn backoff(&self) -> Duration {
        let first = self.time_to_live() / 10;
        first.saturating_mul(1 << self.failures.min(16)).min(LONGEST_BACKOFF)
    }
}

/// Returns a random duration from half of `d` to one and a half.
fn around(d: Duration) -> Duration {
    d.mul_f64(0.5 + fastrand::f64())
}

/// Returns a random duration up to `d`.
fn part_of(d: Duration) -> Duration {
    d.mul_f64(fastrand::f64())
}
