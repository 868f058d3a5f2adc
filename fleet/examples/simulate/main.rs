//! What a fleet costs and gains as it grows, in virtual time: the code of the fleet and of the circuits, with the votes in
//! memory and calls to a dependency that fails.
//!
//! ```console
//! $ cargo run --release -p tower-breaker-fleet --example simulate -- growth.svg
//! ```
//!
//! One instance of eight makes 20 calls a second, the others one. A circuit opens after eight failures in a row. The
//! dependency works for a minute, fails for a minute, and works again.

mod plot;

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tower_breaker::{Backoff, CircuitBreaker, HalfOpen, State};
use tower_breaker_fleet::{Fleet, MemoryStore};

const HEALTHY: Duration = Duration::from_secs(60);
const OUTAGE: Duration = Duration::from_secs(60);

/// Every server is further away than this.
const NETWORK: Duration = Duration::from_millis(1);

const SIZES: [usize; 4] = [8, 100, 500, 2000];

const KINDS: [Kind; 4] = [
    Kind { name: "alone", quorum_share: None, is_partitioned: false },
    Kind { name: "fleet", quorum_share: Some(0.1), is_partitioned: false },
    Kind { name: "fleet, quorum 0.25", quorum_share: Some(0.25), is_partitioned: false },
    Kind { name: "fleet, half cut off", quorum_share: Some(0.1), is_partitioned: true },
];

#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    /// `None` if there is no fleet.
    quorum_share: Option<f64>,
    /// Half of the instances lose the server when the dependency begins to fail.
    is_partitioned: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1);
    println!(
        "| instances | circuits | votes | open after, half / 99 % | calls that failed | probes | \
         most within 100 ms | exchanges/s, healthy | during the outage | keys/s, healthy | hints | \
         entries |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    let mut outcomes = Vec::new();
    for instances in SIZES {
        for kind in KINDS {
            outcomes.push(simulate(instances, 1, kind));
        }
    }
    simulate(100, 20, KINDS[1]);
    simulate(500, 20, KINDS[1]);
    match file {
        Some(file) => plot::draw(&outcomes, Path::new(&file)),
        None => Ok(()),
    }
}

/// What a simulation has come to.
struct Outcome {
    instances: usize,
    kind: Kind,
    /// When each circuit opened, after the dependency had begun to fail.
    opened: Vec<Duration>,
    exchanges_per_second: f64,
}

/// What the dependency sees, and when the circuits opened.
#[derive(Default)]
struct World {
    is_down: AtomicBool,
    failed: AtomicU64,
    probes: Mutex<Vec<Instant>>,
    opened: Mutex<Vec<Duration>>,
}

fn simulate(instances: usize, circuits: usize, kind: Kind) -> Outcome {
    fastrand::seed(7);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let store = MemoryStore::new();
        let world = Arc::new(World::default());
        let (mut fleets, mut links) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        for number in 0..instances {
            let breakers: Vec<CircuitBreaker> = (0..circuits).map(circuit).collect();
            if let Some(share) = kind.quorum_share {
                let own = store.clone();
                own.link().set_delay(NETWORK);
                links.push(own.link());
                let fleet = Fleet::builder("simulation", own)
                    .quorum_share(share)
                    .spawn()
                    .expect("valid settings");
                breakers.iter().for_each(|breaker| fleet.add(breaker).expect("not full"));
                fleets.push(fleet);
            }
            for breaker in breakers {
                let rate = if number % 8 == 0 { 20.0 } else { 1.0 };
                tokio::spawn(call(world.clone(), breaker, rate, begun + HEALTHY));
            }
        }
        sleep_until(begun + HEALTHY / 2).await;
        let before = store.exchanges();
        sleep_until(begun + HEALTHY).await;
        let healthy = store.exchanges() - before;
        world.is_down.store(true, Ordering::Relaxed);
        if kind.is_partitioned {
            links.iter().step_by(2).for_each(|link| link.set_up(false));
        }
        let before = store.exchanges();
        sleep(OUTAGE).await;
        let outage = store.exchanges() - before;
        print(&world, &store, instances, circuits, kind, healthy, outage)
    })
}

fn circuit(number: usize) -> CircuitBreaker {
    let wait = Backoff::exponential(Duration::from_secs(5), Duration::from_secs(60)).jitter(0.2);
    CircuitBreaker::builder(format!("circuit {number}"))
        .consecutive_failures(8)
        .open_duration(wait)
        .half_open(HalfOpen::consecutive_successes(3))
        .build()
        .expect("valid settings")
}

/// Calls the dependency at random times, so many a second on average.
async fn call(world: Arc<World>, breaker: CircuitBreaker, rate: f64, fails_at: Instant) {
    let mut has_opened = false;
    loop {
        sleep(Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate)).await;
        let Ok(permit) = breaker.try_acquire() else { continue };
        let is_probe = breaker.state() != State::Closed;
        if !world.is_down.load(Ordering::Relaxed) {
            permit.success();
            continue;
        }
        permit.failure();
        if is_probe {
            world.probes.lock().unwrap().push(Instant::now());
        } else {
            world.failed.fetch_add(1, Ordering::Relaxed);
        }
        if !has_opened && breaker.state() == State::Open {
            has_opened = true;
            world.opened.lock().unwrap().push(fails_at.elapsed());
        }
    }
}

fn print(
    world: &World,
    store: &MemoryStore,
    instances: usize,
    circuits: usize,
    kind: Kind,
    healthy: u64,
    outage: u64,
) -> Outcome {
    let votes = kind.name;
    let mut opened = world.opened.lock().unwrap().clone();
    opened.sort();
    let all = instances * circuits;
    let after = |share: f64| {
        let index = ((all - 1) as f64 * share) as usize;
        opened.get(index).map_or_else(|| "never".into(), |d| format!("{:.1} s", d.as_secs_f64()))
    };
    let mut probes = world.probes.lock().unwrap().clone();
    probes.sort();
    let within = |(n, from): (usize, &Instant)| {
        probes[n..].partition_point(|at| *at < *from + Duration::from_millis(100))
    };
    let most = probes.iter().enumerate().map(within).max().unwrap_or(0);
    let healthy = healthy as f64 / (HEALTHY / 2).as_secs_f64();
    println!(
        "| {instances} | {circuits} | {votes} | {} / {} | {} | {} | {most} | {healthy:.0} | {:.0} | {:.0} | {} | {} |",
        after(0.5),
        after(0.99),
        world.failed.load(Ordering::Relaxed),
        probes.len(),
        outage as f64 / OUTAGE.as_secs_f64(),
        // The set of the instances, and the votes of each circuit.
        healthy * (1 + circuits) as f64,
        store.hints(),
        store.entries(),
    );
    Outcome { instances, kind, opened, exchanges_per_second: healthy }
}
