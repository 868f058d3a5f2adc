//! How long an admission takes without a fleet, with one, and with one whose server is paused.

use std::hint::black_box;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tower_breaker::CircuitBreaker;
use tower_breaker_fleet::{Fleet, RedisStore};

use crate::Result;
use crate::server::Server;

const CALLS: u32 = 1_000_000;

pub(crate) fn compare(server: &Server) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _runtime = runtime.enter();
    let [alone, with_fleet] = ["alone", "with fleet"].map(CircuitBreaker::new);
    let fleet = Fleet::builder("admissions", RedisStore::open(server.url())?).spawn()?;
    fleet.add(&with_fleet)?;
    while !fleet.status().is_connected {
        sleep(Duration::from_millis(10));
    }
    let [plain, connected] = medians([&alone, &with_fleet]);
    server.pause()?;
    while fleet.status().is_connected {
        sleep(Duration::from_millis(10));
    }
    let [plain_later, paused] = medians([&alone, &with_fleet]);
    println!("a call that succeeds, measured in turn with one without a fleet:");
    println!("  with a fleet             {connected:>6.1} ns, without {plain:.1} ns");
    println!("  while the server hangs   {paused:>6.1} ns, without {plain_later:.1} ns");
    Ok(())
}

/// Measures both in turn, so that whatever else the machine does meets both.
fn medians(breakers: [&CircuitBreaker; 2]) -> [f64; 2] {
    let rounds: Vec<[f64; 2]> = (0..11).map(|_| breakers.map(nanos)).collect();
    [0, 1].map(|index| {
        let mut all: Vec<f64> = rounds.iter().map(|round| round[index]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    })
}

fn nanos(breaker: &CircuitBreaker) -> f64 {
    let begun = Instant::now();
    for _ in 0..CALLS {
        black_box(breaker).try_acquire().expect("the circuit is closed").success();
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}
