//! Real servers and real processes: what a fleet does when either of them fails. Each test has a server of its own, and
//! takes some seconds. They need `redis-server` or `valkey-server`, and two of them `faketime`.

mod server {
    mod faults;
    mod hostile;
    mod instance;
    mod proxy;
    mod servers;
    mod votes;

    pub(crate) use self::instance::{Instance, play};
    pub(crate) use self::proxy::Proxy;
    pub(crate) use self::servers::Server;
}

use std::time::{Duration, Instant};

use crate::server::Instance;

const SECOND: Duration = Duration::from_secs(1);
/// Usually it takes a hundredth of this, but the machine may be busy.
const SOON: Duration = Duration::from_secs(60);
/// Short, so that the tests are.
const TIME_TO_LIVE: Duration = Duration::from_secs(2);

/// This is no test. Other tests start this program again with this name, to be an instance.
#[test]
fn play_an_instance() {
    if let Ok(script) = std::env::var("FLEET_INSTANCE") {
        server::play(&script);
        // At once, because nobody reads what the harness would print.
        std::process::exit(0);
    }
}

/// Waits until it is true, for so long at most.
#[track_caller]
fn wait(limit: Duration, what: &str, mut is_true: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < limit, "after {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

fn instances(url: &str, n: usize) -> Vec<Instance> {
    let instances: Vec<Instance> = (0..n).map(|_| Instance::start(url)).collect();
    wait(SOON, "all instances know of each other", || {
        instances.iter().all(|it| it.ask("status").instances == n as u64)
    });
    instances
}

fn suspected(instances: &[Instance]) -> usize {
    instances.iter().filter(|it| it.ask("status").is_suspected).count()
}

/// Lets the circuit of an instance see so many failures in a row. Returns whether it is open now.
fn is_open_after(instance: &Instance, failures: usize) -> bool {
    instance.ask(&format!("fail {failures}")).state == "open"
}
