//! Instances that lie, flood, or have very many names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tower_breaker_fleet::redis;

use crate::server::{Instance, Server};
use crate::{SECOND, SOON, instances, suspected, wait};

#[test]
fn a_liar_among_eight_changes_nothing() {
    let server = Server::start();
    let instances = instances(&server.url(), 8);
    for _ in 0..10 {
        instances[0].ask("trip");
        thread::sleep(SECOND / 2);
        assert_eq!(suspected(&instances), 0);
    }
}

#[test]
fn a_lying_majority_opens_nothing() {
    let server = Server::start();
    let instances = instances(&server.url(), 8);
    instances[..5].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "the others are suspected", || suspected(&instances[5..]) == 3);
    for _ in 0..6 {
        for honest in &instances[5..] {
            assert_eq!(honest.ask("succeed 1000").state, "closed");
        }
        thread::sleep(SECOND / 2);
    }
}

/// Does what is against all rules, as fast as the server lets it, until it is dropped.
struct Flooder(Arc<AtomicBool>, Option<thread::JoinHandle<u64>>);

impl Flooder {
    fn start(url: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (client, over) = (redis::Client::open(url).unwrap(), is_over.clone());
        let thread = thread::spawn(move || {
            let mut connection = client.get_connection().unwrap();
            let junk = "x".repeat(10_000);
            let mut sent = 0;
            while !over.load(Ordering::Relaxed) {
                let mut pipeline = redis::pipe();
                for n in 0..200 {
                    let message = match n % 4 {
                        0 => "payments".to_owned(),
                        1 => junk.clone(),
                        _ => format!("nobody's circuit {n}"),
                    };
                    pipeline.cmd("PUBLISH").arg("tower-breaker:{test}").arg(message).ignore();
                    let key = format!("tower-breaker:{{test}}:votes:junk {}", sent + n);
                    pipeline.cmd("ZADD").arg(&key).arg(1).arg("flooder").ignore();
                    pipeline.cmd("PEXPIRE").arg(&key).arg(1000).ignore();
                }
                if pipeline.query::<()>(&mut connection).is_err() {
                    break;
                }
                sent += 200;
            }
            sent
        });
        Self(is_over, Some(thread))
    }

    fn stop(mut self) -> u64 {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap()
    }
}

#[test]
fn a_flooder_costs_little_memory_and_does_not_keep_votes_from_being_seen() {
    let server = Server::start();
    let instances = instances(&server.url(), 4);
    let before = instances[3].ask("status");
    let flooder = Flooder::start(&server.url());
    thread::sleep(2 * SECOND);
    instances[..2].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "the others are suspected", || suspected(&instances[2..]) == 2);
    thread::sleep(2 * SECOND);
    let after = instances[3].ask("status");
    let sent = flooder.stop();
    assert!(sent > 1000, "{sent} messages are no flood");
    // The server closes the connection of one that is too slow to read it all, which is then made anew.
    assert!(after.tasks <= before.tasks + 1, "{before:?} {after:?}");
    assert!(after.resident_kb < before.resident_kb + 32_000, "{before:?} {after:?}");
    assert_eq!(instances[3].ask("succeed 1000").state, "closed");
    wait(SOON, "its tasks are as before", || instances[3].ask("status").tasks == before.tasks);
}

#[test]
fn keys_of_another_type_are_errors_and_nothing_else() {
    let server = Server::start();
    let instances = instances(&server.url(), 2);
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut pipeline = redis::pipe();
    for key in ["instances", "votes:payments"] {
        pipeline.cmd("SET").arg(format!("tower-breaker:{{test}}:{key}")).arg("nonsense").ignore();
    }
    pipeline.query::<()>(&mut connection).unwrap();
    wait(SOON, "exchanges fail", || !instances[0].ask("status").is_connected);
    assert_eq!(instances[0].ask("succeed 100").state, "closed");
    redis::cmd("FLUSHALL").query::<()>(&mut connection).unwrap();
    wait(SOON, "it works again", || instances[0].ask("status").is_connected);
}

#[test]
fn ten_thousand_names_take_part_and_leave_the_others_their_turn() {
    let server = Server::start();
    let url = server.url();
    let instances: Vec<Instance> = (0..3).map(|_| Instance::start(&url)).collect();
    instances[0].ask("names 9999");
    instances[1].ask("names 9999");
    wait(SOON, "all know of each other", || {
        instances.iter().all(|it| it.ask("status").instances == 3)
    });
    instances[..2].iter().for_each(|it| _ = it.ask("trip"));
    wait(SOON, "the third one is suspected", || suspected(&instances[2..]) == 1);
    assert!(instances.iter().all(|it| it.ask("status").is_connected));
}
