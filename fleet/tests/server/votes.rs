//! With a server that works.

use crate::server::{Instance, Server};
use crate::{SECOND, SOON, TIME_TO_LIVE, instances, is_open_after, suspected, wait};

#[test]
fn eight_processes_suspect_what_two_of_them_have_seen_and_open_on_their_own_failures() {
    let server = Server::start();
    let instances = instances(&server.url(), 8);
    assert!(!is_open_after(&instances[7], 3));
    instances[7].ask("succeed");
    instances[..2].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "the others are suspected", || suspected(&instances[2..]) == 6);
    assert_eq!(suspected(&instances[..2]), 0);
    assert!(instances[2..].iter().all(|it| it.ask("status").state == "closed"));
    assert!(!is_open_after(&instances[7], 2));
    assert!(is_open_after(&instances[7], 1));
}

#[test]
fn a_process_that_is_killed_has_no_vote_after_its_time_to_live() {
    let server = Server::start();
    let mut instances = instances(&server.url(), 4);
    instances[..2].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "the others are suspected", || suspected(&instances[2..]) == 2);
    instances.drain(..2).for_each(Instance::kill);
    let limit = 2 * TIME_TO_LIVE + 5 * SECOND; // a vote and then a suspicion
    wait(limit, "nobody is suspected", || suspected(&instances) == 0);
    wait(limit, "two are left", || instances[0].ask("status").instances == 2);
}

#[test]
fn a_process_with_a_wrong_clock_is_one_like_any_other() {
    let server = Server::start();
    let url = server.url();
    let mut instances = instances(&url, 2);
    for clock in ["+10y", "-3d"] {
        instances.push(Instance::start_by(&["faketime", "-f", clock], &url));
    }
    wait(SOON, "all know of each other", || {
        instances.iter().all(|it| it.ask("status").instances == 4)
    });
    // Its vote counts, and no longer than any other.
    instances[2].ask("trip");
    instances[3].ask("trip");
    wait(SOON, "the others are suspected", || suspected(&instances[..2]) == 2);
    instances.drain(2..).for_each(Instance::kill);
    wait(2 * TIME_TO_LIVE + 5 * SECOND, "nobody is suspected", || suspected(&instances) == 0);
    // And it learns of the votes of the others.
    instances.push(Instance::start_by(&["faketime", "-f", "+10y"], &url));
    wait(SOON, "it is there", || instances[2].ask("status").instances >= 3);
    instances[..2].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "it is suspected", || suspected(&instances[2..]) == 1);
}

#[test]
fn hints_are_not_needed() {
    use tower_breaker::CircuitBreaker;
    use tower_breaker_fleet::{Fleet, RedisStore};

    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _runtime = runtime.enter();
    let breaker = CircuitBreaker::new("payments");
    let store = RedisStore::without_hints(server.url()).unwrap();
    let fleet = Fleet::builder("test", store).time_to_live(TIME_TO_LIVE).spawn().unwrap();
    fleet.add(&breaker).unwrap();
    let instances = [(); 2].map(|()| Instance::start(&server.url()));
    wait(SOON, "all know of each other", || fleet.status().instances == 3);
    instances.iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "it is suspected", || breaker.snapshot().suspected_for().is_some());
}

#[test]
fn a_wrong_password_is_local_behaviour_and_the_password_is_not_printed() {
    use tower_breaker_fleet::{Fleet, RedisStore};

    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _runtime = runtime.enter();
    let store = RedisStore::open(format!("redis://nobody:hunter2@{}/", server.addr())).unwrap();
    assert!(!format!("{store:?}").contains("hunter2"));
    let fleet = Fleet::builder("test", store).time_to_live(TIME_TO_LIVE).spawn().unwrap();
    wait(SOON, "an exchange has failed", || fleet.status().failed_exchanges > 1);
    assert!(!fleet.status().is_connected);
    assert!(RedisStore::open("http://example").is_err());
}
