//! The store is lost, slow, empty or hostile.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tower_breaker::{CircuitBreaker, State};
use tower_breaker_fleet::{Answer, Exchange, Hint, MemoryStore, Store, StoreError};

use crate::{
    Instance, MS, SECOND, TIME_TO_LIVE, fleet, pass, payments, settle, spawned, suspected,
};

/// Fails every call, at most three because it is suspected and at most six alone.
fn failures_until_open(instance: &Instance) -> usize {
    let failures = (1..=6).find(|_| {
        instance.breaker.try_acquire().unwrap().failure();
        instance.breaker.state() == State::Open
    });
    failures.expect("the circuit opens")
}

#[tokio::test(start_paused = true)]
async fn without_the_store_each_circuit_does_what_it_does_alone_within_one_time_to_live() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[..2].iter().for_each(|it| it.breaker.trip());
    pass(SECOND).await;
    assert_eq!(suspected(&instances), 6);
    instances.iter().for_each(|it| it.link.set_up(false));
    pass(TIME_TO_LIVE + MS).await;
    assert!(instances.iter().all(|it| !it.is_suspected() && !it.fleet.status().is_connected));
    assert_eq!(failures_until_open(&instances[7]), 6);
}

#[tokio::test(start_paused = true)]
async fn when_the_store_is_back_the_fleet_is_back_within_a_minute_and_not_all_at_once() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 50);
    // They are started at the same time, and the store is not there yet.
    instances.iter().for_each(|it| it.link.set_up(false));
    pass(600 * SECOND).await;
    instances.iter().for_each(|it| it.link.set_up(true));
    let connected = || instances.iter().filter(|it| it.fleet.status().is_connected).count();
    let (mut before, mut most) = (0, 0);
    for _ in 0..46 {
        pass(SECOND).await;
        most = most.max(connected() - before);
        before = connected();
    }
    assert_eq!(before, 50);
    assert!(most < 15, "{most} within a second");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_restarts_empty_has_all_votes_again_before_suspicion_ends() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[..2].iter().for_each(|it| it.breaker.trip());
    pass(SECOND).await;
    for _ in 0..30 {
        store.clear();
        pass(SECOND).await;
        store.clear();
        pass(5 * SECOND).await;
        if instances[0].breaker.snapshot().retry_after() > Some(10 * SECOND) {
            assert_eq!(suspected(&instances), 6);
        } else {
            instances[..2].iter().for_each(|it| it.breaker.trip());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_half_that_is_partitioned_goes_on_alone_and_the_other_half_together() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[..4].iter().for_each(|it| it.link.set_up(false));
    pass(2 * TIME_TO_LIVE).await;
    instances[3..6].iter().for_each(|it| it.breaker.trip());
    pass(5 * SECOND).await;
    assert_eq!(suspected(&instances[..4]), 0);
    assert_eq!(suspected(&instances[4..]), 2);
    assert_eq!(instances[7].fleet.status().instances, 4);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_by_seconds_is_as_one_that_is_not_there() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    instances.iter().for_each(|it| it.link.set_delay(5 * SECOND));
    pass(60 * SECOND).await;
    instances[..4].iter().for_each(|it| it.breaker.trip());
    pass(20 * SECOND).await;
    assert_eq!(suspected(&instances), 0);
    assert_eq!(instances[0].fleet.status().exchanges, 0);
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_reconnecting_leaves_no_tasks_behind_and_makes_few_attempts() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let store = MemoryStore::new();
    let instance = Instance::new(&store);
    instance.link.set_up(false);
    pass(SECOND).await;
    let before = tasks();
    pass(3600 * SECOND).await;
    assert_eq!(tasks(), before);
    let attempts = instance.fleet.status().failed_exchanges;
    assert!((100..200).contains(&attempts), "{attempts}");
}

/// Never answers, and sends hints as fast as they are taken.
struct Flood {
    hints: Arc<AtomicU64>,
    key: &'static str,
}

impl Store for Flood {
    async fn exchange(&self, _: &Exchange) -> Result<Answer, StoreError> {
        pending().await
    }

    async fn hint(&self, _: &str) -> Hint {
        self.hints.fetch_add(1, Ordering::Relaxed);
        Hint::Look(self.key.into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_hints_is_taken_slowly_and_keeps_the_fleet_from_nothing() {
    for key in ["payments", "unknown"] {
        let hints = Arc::new(AtomicU64::new(0));
        let fleet = spawned(Flood { hints: hints.clone(), key });
        let breaker = payments().build().unwrap();
        fleet.add(&breaker).unwrap();
        pass(60 * SECOND).await;
        let hints = hints.load(Ordering::Relaxed);
        assert!(hints <= 64 * 10 * 60 + 64, "{hints}");
        assert!(fleet.status().failed_exchanges > 3, "{:?}", fleet.status());
    }
}

#[tokio::test(start_paused = true)]
async fn hints_that_are_flooded_through_a_store_do_not_keep_votes_from_being_seen() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    let flooder = {
        let store = store.clone();
        tokio::spawn(async move {
            loop {
                for n in 0..1000 {
                    store.send_hint("test", &format!("junk {n}"));
                    store.send_hint("test", "payments");
                }
                tokio::time::sleep(10 * MS).await;
            }
        })
    };
    instances[..2].iter().for_each(|it| it.breaker.trip());
    pass(2 * SECOND).await;
    assert_eq!(suspected(&instances), 6);
    let status = instances[7].fleet.status();
    assert!(status.dropped_hints > 1000, "{status:?}");
    assert!(status.exchanges < 100, "{status:?}");
    flooder.abort();
}

#[tokio::test(start_paused = true)]
async fn hints_that_keep_coming_do_not_put_off_the_look_that_they_ask_for() {
    let store = MemoryStore::new();
    let slow = || Instance::with(&store, |fleet| fleet.time_to_live(600 * SECOND));
    let instances = [slow(), slow(), slow()];
    pass(SECOND).await;
    instances[..2].iter().for_each(|it| it.breaker.trip());
    for _ in 0..1000 {
        store.send_hint("test", "payments");
        pass(10 * MS).await;
    }
    assert!(instances[2].is_suspected());
}

/// Answers nonsense.
struct Nonsense;

impl Store for Nonsense {
    async fn exchange(&self, exchange: &Exchange) -> Result<Answer, StoreError> {
        Ok(match exchange.circuits.len() {
            0 => Answer::new(0, vec![u64::MAX; 5]),
            _ if fastrand_like() => Answer::new(u64::MAX, Vec::new()),
            n => Answer::new(0, vec![u64::MAX; n]),
        })
    }

    async fn hint(&self, _: &str) -> Hint {
        tokio::time::sleep(Duration::from_millis(7)).await;
        Hint::Look("\u{0}".repeat(100))
    }
}

fn fastrand_like() -> bool {
    static N: AtomicU64 = AtomicU64::new(0);
    N.fetch_add(1, Ordering::Relaxed) % 2 == 0
}

#[tokio::test(start_paused = true)]
async fn the_worst_that_a_store_can_do_is_that_a_circuit_is_suspected() {
    let fleet = spawned(Nonsense);
    let breaker = payments().build().unwrap();
    fleet.add(&breaker).unwrap();
    for _ in 0..1000 {
        pass(100 * MS).await;
        breaker.try_acquire().unwrap().success();
    }
    assert_eq!(breaker.state(), State::Closed);
    assert!(breaker.snapshot().suspected_for().is_some());
    drop(fleet);
    pass(TIME_TO_LIVE).await;
    assert_eq!(breaker.snapshot().suspected_for(), None);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_suspicion_keeps_no_circuit_open_for_longer_than_a_time_to_live() {
    let store = MemoryStore::new();
    let liars = fleet(&store, 5);
    let honest = spawned(store.clone());
    let breaker = CircuitBreaker::new("payments"); // the defaults
    honest.add(&breaker).unwrap();
    settle().await;
    let mut longest = Duration::ZERO;
    let mut opened = None;
    for call in 0..6000_u32 {
        if call % 500 == 0 {
            liars.iter().for_each(|it| it.breaker.trip());
        }
        // The dependency fails three times in a row now and then, which alone would open nothing.
        let fails = call % 1000 < 3;
        if let Ok(permit) = breaker.try_acquire() {
            if fails { permit.failure() } else { permit.success() }
        }
        match breaker.state() {
            State::Closed => opened = None,
            _ => longest = longest.max(opened.get_or_insert_with(Instant::now).elapsed()),
        }
        pass(100 * MS).await;
    }
    assert!(longest > SECOND, "it never opened");
    assert!(longest <= TIME_TO_LIVE, "{longest:?}");
}

/// Panics at the third exchange.
struct Panicking(AtomicU64);

impl Store for Panicking {
    async fn exchange(&self, _: &Exchange) -> Result<Answer, StoreError> {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) < 2, "as planned");
        Ok(Answer::new(1, Vec::new()))
    }

    async fn hint(&self, _: &str) -> Hint {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_ends_the_fleet_and_the_status_says_so() {
    let fleet = spawned(Panicking(AtomicU64::new(0)));
    let breaker = payments().build().unwrap();
    fleet.add(&breaker).unwrap();
    pass(SECOND).await;
    assert!(fleet.status().is_connected);
    pass(10 * SECOND).await;
    assert!(!fleet.status().is_connected);
    breaker.try_acquire().unwrap().success();
}
