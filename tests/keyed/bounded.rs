//! No call does more work than a constant, however many circuits there are. Work is counted, not timed: a
//! key counts how often its methods are called.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use tokio::time::advance;
use tower_breaker::State;
use tower_breaker::keyed::CircuitBreakerRegistry;

use crate::{builder, numbered};

/// The most circuits that the registry looks at in one go.
const STEP: u64 = 64;

#[derive(Debug, Clone, Copy, Default)]
struct Work {
    hashed: u64,
    compared: u64,
    cloned: u64,
    dropped: u64,
}

thread_local! {
    static WORK: Cell<Work> = Cell::default();
}

fn count(change: impl FnOnce(&mut Work)) {
    let mut work = WORK.get();
    change(&mut work);
    WORK.set(work);
}

/// Returns what the methods of keys were called for during `action`.
fn work(action: impl FnOnce()) -> Work {
    WORK.set(Work::default());
    action();
    WORK.get()
}

#[derive(Debug, Eq)]
struct Counted(u32);

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count(|work| work.hashed += 1);
        self.0.hash(state);
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        count(|work| work.compared += 1);
        self.0 == other.0
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        count(|work| work.cloned += 1);
        Self(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        count(|work| work.dropped += 1);
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const IDLE: Duration = Duration::from_secs(60);
const MANY: u32 = 10_000;

fn many() -> CircuitBreakerRegistry<Counted> {
    let circuits = builder().capacity(2 * MANY).idle_timeout(IDLE).build().unwrap();
    for key in 0..MANY {
        circuits.try_acquire(&Counted(key)).unwrap().success();
    }
    circuits
}

#[tokio::test(start_paused = true)]
async fn a_new_circuit_drops_a_limited_number_of_idle_ones() {
    let circuits = many();
    let mut next = MANY;
    let mut most = 0;
    for _ in 0..2 {
        advance(IDLE).await;
        // The new circuits are looked at as well, so it takes a few more than `MANY / STEP`.
        for _ in 0..u64::from(MANY) / STEP + 10 {
            let created = Counted(next);
            let work = work(|| circuits.try_acquire(&created).unwrap().success());
            most = most.max(work.dropped);
            // Once to look it up and once to create it. Keys that stay are never hashed again.
            assert_eq!((work.hashed, work.cloned), (2, 1));
            assert!(work.compared < 10, "{work:?}");
            next += 1;
        }
    }
    assert_eq!(most, STEP);
    let old = (0..MANY).filter(|key| circuits.get(&Counted(*key)).is_some()).count();
    assert_eq!(old, 0, "all idle circuits have been dropped by now");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_circuit_is_there_drops_nothing() {
    let circuits = many();
    let key = Counted(7);
    for _ in 0..4 {
        advance(IDLE).await;
        let work = work(|| circuits.try_acquire(&key).unwrap().success());
        assert_eq!((work.hashed, work.cloned, work.dropped), (1, 0, 0));
    }
    assert_eq!(circuits.len(), MANY as usize);
}

#[tokio::test(start_paused = true)]
async fn an_explicit_sweep_drops_all_idle_circuits() {
    let circuits = many();
    advance(IDLE).await;
    circuits.sweep();
    assert_eq!(circuits.len(), MANY as usize, "they were used since the registry was built");
    advance(IDLE).await;
    let work = work(|| circuits.sweep());
    assert!(circuits.is_empty());
    assert_eq!((work.hashed, work.compared, work.dropped), (0, 0, MANY.into()));
}

/// The sweep goes on where it stopped, and a sweep is never due while another one is under way.
#[tokio::test(start_paused = true)]
async fn a_slow_sweep_drops_no_circuit_before_its_time() {
    let circuits: CircuitBreakerRegistry<u32> = builder().idle_timeout(IDLE).build().unwrap();
    let keys = 0..4 * STEP as u32;
    keys.clone().for_each(|key| drop(circuits.get_or_create(&key)));
    // The first sweep takes a step every 50 s. The last circuits are used shortly before it gets to them.
    advance(IDLE).await;
    for new in 1000..1004 {
        circuits.get_or_create(&new);
        advance(Duration::from_secs(50)).await;
        keys.clone().skip(3 * STEP as usize).for_each(|key| drop(circuits.get_or_create(&key)));
    }
    // The second sweep is fast.
    advance(Duration::from_secs(9)).await;
    circuits.sweep();
    for key in keys.skip(3 * STEP as usize) {
        assert!(circuits.get(&key).is_some(), "{key} was used 9 s ago");
    }
}

#[test]
fn a_new_circuit_looks_at_a_limited_number_of_busy_ones() {
    let capacity = 20 * STEP as u32;
    let circuits = numbered(capacity);
    (0..capacity).for_each(|key| circuits.get_or_create(&key).trip());
    circuits.get(&(capacity / 2)).unwrap().reset();

    let new = (1_000_000..).take_while(|key| {
        circuits.get_or_create(key);
        circuits.get(key).is_none()
    });
    let not_kept = new.count();
    assert!((5..=40).contains(&not_kept), "{not_kept} circuits were not kept");
    assert!(circuits.get(&(capacity / 2)).is_none(), "its place was found in the end");
}

#[test]
fn circuits_that_are_used_again_stay_while_keys_come_that_are_used_once() {
    let circuits = numbered(1000);
    let often = 0..900;
    for key in often.clone().chain(often.clone()) {
        circuits.try_acquire(&key).unwrap().success();
    }
    for key in 1_000..100_000 {
        circuits.try_acquire(&key).unwrap().success();
    }
    assert_eq!(circuits.len(), 1000);
    assert!(often.into_iter().all(|key| circuits.get(&key).is_some()));
}

#[test]
fn a_new_circuit_has_time_to_be_used_again_before_it_is_evicted() {
    let circuits = numbered(1000);
    for key in 0..2000 {
        circuits.try_acquire(&key).unwrap().success();
    }
    let newest = 1950..2000;
    assert!(newest.into_iter().all(|key| circuits.get(&key).is_some()));
}

#[test]
fn a_new_circuit_is_kept_if_others_are_at_rest_even_if_all_of_them_were_used_again() {
    let circuits = numbered(1000);
    for key in (0..1000).chain(0..1000) {
        circuits.try_acquire(&key).unwrap().success();
    }
    for key in 1000..1100 {
        circuits.try_acquire(&key).unwrap().success();
        assert!(circuits.get(&key).is_some());
    }
}

#[test]
fn circuits_that_are_not_used_any_more_make_way_for_new_ones() {
    let circuits = numbered(100);
    let (old, new) = (0..100, 100..200);
    for key in old.clone().chain(old.clone()) {
        circuits.try_acquire(&key).unwrap().success();
    }
    for _ in 0..20 {
        for key in new.clone() {
            circuits.try_acquire(&key).unwrap().success();
        }
    }
    let kept = |keys: std::ops::Range<u32>| keys.filter(|key| circuits.get(key).is_some()).count();
    assert!(kept(new) > 85, "{} of the new circuits are kept", 100 - kept(old));
}

#[test]
fn all_circuits_are_listed_once() {
    let circuits = numbered(1000);
    (0..1000).for_each(|key| drop(circuits.get_or_create(&key)));
    (0..1000).filter(|key| key % 3 == 0).for_each(|key| drop(circuits.remove(&key)));
    let mut keys: Vec<_> = circuits.list().into_iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..1000).filter(|key| key % 3 != 0).collect::<Vec<_>>());
    assert!(circuits.list().iter().all(|(_, breaker)| breaker.state() == State::Closed));
}
