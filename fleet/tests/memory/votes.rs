//! Who votes, and what that does to the others.

use tower_breaker::{Cause, CircuitBreaker, State};
use tower_breaker_fleet::{Fleet, MemoryStore};

use crate::{Instance, MS, SECOND, TIME_TO_LIVE, fleet, pass, payments, settle, suspected};

#[tokio::test(start_paused = true)]
async fn a_quorum_of_open_circuits_makes_those_of_the_others_suspect_and_opens_none() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[0].breaker.trip();
    instances[1].breaker.trip();
    pass(500 * MS).await;
    assert_eq!(suspected(&instances), 6);
    assert!(instances[2..].iter().all(|it| it.breaker.state() == State::Closed));
    assert!(!instances[0].is_suspected() && !instances[1].is_suspected());
    let text = instances[2].breaker.snapshot().to_string();
    assert!(text.contains("suspected for another"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_suspected_circuit_opens_on_its_own_failures_only() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[..2].iter().for_each(|it| it.breaker.trip());
    pass(500 * MS).await;
    (0..3).for_each(|_| instances[7].breaker.try_acquire().unwrap().failure());
    let cause = instances[7].breaker.snapshot().cause();
    assert_eq!(cause, Some(Cause::ConsecutiveFailures { failures: 3 }));
}

#[tokio::test(start_paused = true)]
async fn a_liar_among_eight_changes_nothing_because_two_votes_are_needed_however_small_the_share_is()
 {
    let store = MemoryStore::new();
    let instances: Vec<Instance> =
        (0..8).map(|_| Instance::with(&store, |fleet| fleet.quorum_share(0.01))).collect();
    settle().await;
    for _ in 0..20 {
        instances[0].breaker.trip();
        pass(SECOND).await;
        assert_eq!(suspected(&instances), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lying_majority_opens_nothing_and_what_it_does_ends_with_it() {
    let store = MemoryStore::new();
    let mut instances = fleet(&store, 8);
    settle().await;
    instances[..5].iter().for_each(|it| it.breaker.trip());
    pass(20 * SECOND).await;
    for honest in &instances[5..] {
        assert!(honest.is_suspected());
        for _ in 0..1000 {
            honest.breaker.try_acquire().unwrap().success();
        }
        assert_eq!(honest.breaker.state(), State::Closed);
    }
    instances.drain(..5);
    pass(2 * TIME_TO_LIVE).await;
    assert_eq!(suspected(&instances), 0);
}

#[tokio::test(start_paused = true)]
async fn the_quorum_grows_with_the_number_of_instances_that_are_there() {
    let store = MemoryStore::new();
    let quarter = |_| Instance::with(&store, |fleet| fleet.quorum_share(0.25));
    let mut instances: Vec<Instance> = (0..16).map(quarter).collect();
    settle().await;
    assert_eq!(instances[0].fleet.status().instances, 16);
    instances[..3].iter().for_each(|it| it.breaker.trip());
    pass(5 * SECOND).await;
    assert_eq!(suspected(&instances), 0);
    instances[3].breaker.trip();
    pass(500 * MS).await;
    assert_eq!(suspected(&instances), 12);

    instances.truncate(4);
    pass(2 * TIME_TO_LIVE).await;
    assert_eq!(instances[0].fleet.status().instances, 4);
}

#[tokio::test(start_paused = true)]
async fn two_instances_of_one_name_have_one_vote() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 6);
    let twins = [(); 3].map(|()| Instance::with(&store, |fleet| fleet.instance("twin")));
    settle().await;
    twins.iter().for_each(|it| it.breaker.trip());
    pass(5 * SECOND).await;
    assert_eq!(suspected(&instances), 0);
}

#[tokio::test(start_paused = true)]
async fn the_circuits_of_one_name_in_one_process_have_one_vote_and_are_suspected_together() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 3);
    let other = payments().build().unwrap();
    instances[0].fleet.add(&other).unwrap();
    settle().await;
    other.trip();
    instances[0].breaker.trip();
    pass(5 * SECOND).await;
    assert_eq!(suspected(&instances), 0);
    other.reset();
    instances[0].breaker.reset();
    pass(2 * TIME_TO_LIVE).await;
    instances[1..].iter().for_each(|it| it.breaker.trip());
    pass(500 * MS).await;
    assert!(instances[0].is_suspected() && other.snapshot().suspected_for().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_votes_of_an_instance_that_is_gone_expire_and_suspicion_with_them() {
    let store = MemoryStore::new();
    let mut instances = fleet(&store, 8);
    settle().await;
    instances[..2].iter().for_each(|it| it.breaker.trip());
    pass(500 * MS).await;
    assert_eq!(suspected(&instances), 6);
    instances.drain(..2); // without a word
    pass(2 * TIME_TO_LIVE).await;
    assert_eq!(suspected(&instances), 0);
}

#[tokio::test(start_paused = true)]
async fn suspicion_lasts_as_long_as_the_quorum_does() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[..2].iter().for_each(|it| it.breaker.trip());
    pass(SECOND).await;
    for _ in 0..50 {
        assert_eq!(suspected(&instances), 6);
        pass(SECOND).await;
    }
    // It is told as an operator's action only when it begins and when half of it is over.
    let suspicions = instances[7].fleet.status().suspicions;
    assert!((5..=12).contains(&suspicions), "{suspicions}");
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_closes_withdraws_its_vote_at_once() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[..2].iter().for_each(|it| it.breaker.trip());
    pass(SECOND).await;
    instances[0].breaker.reset();
    pass(TIME_TO_LIVE + SECOND).await;
    assert_eq!(suspected(&instances), 0);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_has_just_closed_believes_its_own_probes_rather_than_the_others() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[..4].iter().for_each(|it| it.breaker.trip());
    pass(60 * SECOND).await;
    instances[1..4].iter().for_each(|it| it.breaker.trip());
    let recovered = &instances[0];
    recovered.breaker.try_acquire().unwrap().success();
    assert_eq!(recovered.breaker.state(), State::Closed);
    for _ in 0..9 {
        pass(SECOND).await;
        assert!(!recovered.is_suspected());
    }
    pass(TIME_TO_LIVE).await;
    assert!(recovered.is_suspected());
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_holds_open_is_no_vote() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[..3].iter().for_each(|it| it.breaker.force_open());
    instances[3..6].iter().for_each(|it| it.breaker.force_open_for(100 * SECOND));
    pass(20 * SECOND).await;
    assert_eq!(suspected(&instances), 0);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_was_open_before_a_restart_is_no_vote() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    let open = payments().build().unwrap();
    open.trip();
    let restarted = [(); 3].map(|()| payments().primed(&open.save()).build().unwrap());
    for (instance, breaker) in instances.iter().zip(&restarted) {
        assert_eq!(breaker.state(), State::Open);
        instance.fleet.add(breaker).unwrap();
    }
    pass(20 * SECOND).await;
    assert_eq!(suspected(&instances), 0);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_that_nobody_calls_ceases_to_vote_when_its_wait_is_over() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 8);
    settle().await;
    instances[..3].iter().for_each(|it| it.breaker.trip());
    pass(60 * SECOND + 2 * TIME_TO_LIVE + SECOND).await;
    assert_eq!(instances[0].breaker.state(), State::Open);
    assert_eq!(suspected(&instances), 0);
}

#[tokio::test(start_paused = true)]
async fn circuits_of_other_names_and_other_fleets_are_left_alone() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 4);
    let other = Fleet::builder("other", store.clone()).spawn().unwrap();
    let in_other = payments().build().unwrap();
    other.add(&in_other).unwrap();
    let search = CircuitBreaker::new("search");
    instances[3].fleet.add(&search).unwrap();
    settle().await;
    instances[..3].iter().for_each(|it| it.breaker.trip());
    pass(10 * SECOND).await;
    assert!(instances[3].is_suspected());
    assert_eq!(in_other.snapshot().suspected_for(), None);
    assert_eq!(search.snapshot().suspected_for(), None);
}

#[tokio::test(start_paused = true)]
async fn instances_with_the_same_secret_understand_each_other_although_names_are_hidden() {
    let store = MemoryStore::new();
    let with = |secret: &'static str| Instance::with(&store, move |fleet| fleet.hide_names(secret));
    let instances = [with("one"), with("one"), with("one"), with("two")];
    settle().await;
    instances[..2].iter().for_each(|it| it.breaker.trip());
    pass(5 * SECOND).await;
    assert!(instances[2].is_suspected() && !instances[3].is_suspected());
}
