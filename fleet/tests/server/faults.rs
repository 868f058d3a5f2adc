//! The server or the network fails.

use std::thread::sleep;
use std::time::Duration;

use tower_breaker_fleet::redis;

use crate::server::{Instance, Proxy, Server};
use crate::{SECOND, SOON, TIME_TO_LIVE, instances, is_open_after, suspected, wait};

/// Long enough for a suspicion to end.
const LOCAL: Duration = Duration::from_secs(10);

fn are_connected(instances: &[Instance]) -> bool {
    instances.iter().all(|it| it.ask("status").is_connected)
}

fn are_alone(instances: &[Instance]) -> bool {
    instances.iter().all(|it| !it.ask("status").is_connected)
}

/// Checks that the circuits do what they do alone, and that no admission waits.
#[track_caller]
fn check_local(instances: &[Instance]) {
    assert_eq!(suspected(instances), 0);
    for instance in instances {
        let slowest = instance.ask("succeed 1000").slowest;
        assert!(slowest < Duration::from_millis(500), "an admission took {slowest:?}");
    }
    let last = instances.last().unwrap();
    assert!(!is_open_after(last, 5));
    assert!(is_open_after(last, 1));
}

#[test]
fn when_the_server_is_killed_each_process_goes_on_alone_and_together_when_it_is_back() {
    let mut server = Server::start();
    let instances = instances(&server.url(), 8);
    instances[..2].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "the others are suspected", || suspected(&instances[2..]) == 6);
    server.kill();
    wait(LOCAL, "nobody is suspected", || suspected(&instances) == 0);
    wait(LOCAL, "nobody is connected", || are_alone(&instances));
    check_local(&instances);
    server.restart();
    wait(SOON, "all are connected", || are_connected(&instances));
    wait(SOON, "the votes are back", || suspected(&instances[2..7]) == 5);
}

#[test]
fn when_the_server_is_paused_no_admission_waits_and_all_is_local_within_a_time_to_live() {
    let server = Server::start();
    let instances = instances(&server.url(), 8);
    instances[..2].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "the others are suspected", || suspected(&instances[2..]) == 6);
    server.pause();
    wait(LOCAL, "nobody is suspected", || suspected(&instances) == 0);
    wait(LOCAL, "nobody is connected", || are_alone(&instances));
    check_local(&instances);
    server.resume();
    wait(SOON, "all are connected", || are_connected(&instances));
}

#[test]
fn a_server_that_restarts_empty_has_all_votes_again() {
    let mut server = Server::start();
    let instances = instances(&server.url(), 8);
    instances[..2].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "the others are suspected", || suspected(&instances[2..]) == 6);
    server.restart();
    wait(SOON, "all are back", || {
        are_connected(&instances) && instances.iter().all(|it| it.ask("status").instances == 8)
    });
    wait(SOON, "the others are suspected", || suspected(&instances[2..]) == 6);
}

#[test]
fn half_of_the_processes_are_partitioned_from_the_server() {
    let server = Server::start();
    let proxy = Proxy::to(server.addr());
    let far: Vec<Instance> = (0..4).map(|_| Instance::start(&proxy.url())).collect();
    let near: Vec<Instance> = (0..4).map(|_| Instance::start(&server.url())).collect();
    let know = |all: &[Instance], n| all.iter().all(|it| it.ask("status").instances == n);
    wait(SOON, "all know of each other", || know(&far, 8) && know(&near, 8));
    proxy.cut(true);
    wait(LOCAL, "the far ones are alone", || are_alone(&far));
    wait(2 * LOCAL, "the near ones know it", || know(&near, 4));
    near[..2].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "the near ones are suspected", || suspected(&near[2..]) == 2);
    check_local(&far);
    proxy.cut(false);
    wait(SOON, "all are back", || know(&far[..3], 8) && know(&near, 8));
}

#[test]
fn a_server_that_is_slow_by_seconds_is_as_one_that_is_not_there() {
    let server = Server::start();
    let proxy = Proxy::to(server.addr());
    let far: Vec<Instance> = (0..4).map(|_| Instance::start(&proxy.url())).collect();
    wait(SOON, "all are connected", || are_connected(&far));
    proxy.delay(3 * SECOND);
    wait(2 * LOCAL, "all are alone", || are_alone(&far));
    sleep(TIME_TO_LIVE);
    check_local(&far);
    proxy.delay(Duration::ZERO);
    wait(SOON, "all are back", || are_connected(&far));
}

#[test]
fn memory_and_tasks_stay_as_they_are_through_many_reconnections() {
    let mut server = Server::start();
    let instance = Instance::start(&server.url());
    let mut reconnect = |n: usize| {
        for _ in 0..n {
            server.restart();
            let mut connection = server.connection();
            wait(SOON, "it is there again", || {
                let count = redis::cmd("ZCARD").arg("tower-breaker:{test}:instances").to_owned();
                count.query::<u64>(&mut connection).unwrap() == 1
            });
        }
        sleep(SECOND);
        instance.ask("status")
    };
    let before = reconnect(5);
    let after = reconnect(20);
    assert!(after.is_connected);
    assert_eq!(after.tasks, before.tasks, "{before:?} {after:?}");
    assert!(after.resident_kb < before.resident_kb + 2000, "{before:?} {after:?}");
}
