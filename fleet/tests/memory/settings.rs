//! Settings and the handle.

use std::time::Duration;

use tower_breaker::CircuitBreaker;
use tower_breaker_fleet::{Fleet, FleetBuilder, FleetError, MemoryStore};

use crate::{Instance, MS, SECOND, pass, settle, spawned};

fn refused(
    settings: impl FnOnce(FleetBuilder<MemoryStore>) -> FleetBuilder<MemoryStore>,
) -> String {
    let error = settings(Fleet::builder("test", MemoryStore::new())).spawn().unwrap_err();
    error.to_string()
}

#[tokio::test]
async fn a_setting_that_is_out_of_range_is_an_error_that_says_what_is_allowed() {
    let time_to_live = "invalid `time_to_live`: 999ms (allowed: 1 s to 10 min)";
    assert_eq!(refused(|it| it.time_to_live(999 * MS)), time_to_live);
    assert!(refused(|it| it.time_to_live(601 * SECOND)).contains("601s"));
    for share in [0.0, -1.0, 1.1, f64::NAN, f64::INFINITY] {
        assert!(refused(|it| it.quorum_share(share)).contains("greater than 0 and at most 1"));
    }
    assert!(refused(|it| it.timeout(Duration::ZERO)).contains("10 ms to the time to live"));
    assert!(refused(|it| it.timeout(11 * SECOND)).contains("`timeout`: 11s"));
    for name in ["", "a b", "a:b", "{a}", "a\nb", "\u{e4}", &"x".repeat(65)] {
        assert!(refused(|it| it.instance(name)).starts_with("invalid `instance`: \""), "{name}");
        let error = Fleet::builder(name, MemoryStore::new()).spawn().unwrap_err();
        assert!(error.to_string().starts_with("invalid `name`: \""), "{error}");
    }
    assert!(refused(|it| it.hide_names("")).contains("a secret that is not empty"));
}

#[test]
fn without_a_runtime_it_is_an_error() {
    let error = Fleet::builder("test", MemoryStore::new()).spawn().unwrap_err();
    assert_eq!(error, FleetError::NoRuntime);
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_the_handle_is_dropped() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let fleets: Vec<Fleet> = (0..100).map(|_| spawned(MemoryStore::new())).collect();
    pass(SECOND).await;
    assert_eq!(tasks(), before + 100);
    drop(fleets);
    pass(MS).await;
    assert_eq!(tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_keeps_no_circuit_alive_and_forgets_those_that_are_gone() {
    let store = MemoryStore::new();
    let Instance { fleet, breaker, .. } = Instance::new(&store);
    settle().await;
    assert_eq!(fleet.status().circuits, 1);
    let weak = breaker.downgrade();
    drop(breaker);
    assert!(weak.upgrade().is_none());
    pass(SECOND).await;
    assert_eq!(fleet.status().circuits, 0);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_circuits_are_the_most_and_all_of_them_take_part() {
    let store = MemoryStore::new();
    let (one, other) = (spawned(store.clone()), spawned(store.clone()));
    let third = spawned(store.clone());
    let circuit = |n| {
        let builder = CircuitBreaker::builder(format!("circuit {n}"));
        builder.open_duration(60 * SECOND).build().unwrap()
    };
    let names = || (0..10_000).map(circuit);
    let circuits: Vec<Vec<CircuitBreaker>> = (0..3).map(|_| names().collect()).collect();
    for (fleet, circuits) in [&one, &other, &third].into_iter().zip(&circuits) {
        circuits.iter().for_each(|breaker| fleet.add(breaker).unwrap());
    }
    let full = FleetError::Full { capacity: 10_000 };
    assert_eq!(one.add(&CircuitBreaker::new("one more")), Err(full.clone()));
    assert_eq!(full.to_string(), "the fleet is full: it has 10000 circuits already");
    for circuits in &circuits[..2] {
        circuits.iter().for_each(CircuitBreaker::trip);
    }
    pass(20 * SECOND).await;
    let suspected = |it: &&CircuitBreaker| it.snapshot().suspected_for().is_some();
    assert_eq!(circuits[2].iter().filter(suspected).count(), 10_000);
}
