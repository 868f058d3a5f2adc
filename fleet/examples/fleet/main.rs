//! Eight processes and one dependency that fails, without a fleet and with one.
//!
//! ```console
//! $ cargo run -p tower-breaker-fleet --example fleet
//! ```
//!
//! It starts a server, which has to be installed: `apt-get install redis-server`, or Valkey. It starts itself eight times
//! as an instance. Two instances make 20 calls a second, and six make one. A circuit opens after eight failures in a row,
//! so the busy ones see at once what takes the quiet ones eight seconds. It ends by itself after a minute.

mod admissions;
mod dependency;
mod instance;
mod report;
mod server;

use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::dependency::Dependency;
use crate::instance::Instance;
use crate::report::Report;
use crate::server::Server;

/// How many calls each of them makes in a second.
const RATES: [u32; 8] = [20, 20, 1, 1, 1, 1, 1, 1];

const HEALTHY: Duration = Duration::from_secs(3);
const OUTAGE: Duration = Duration::from_secs(12);
const LONGEST_RECOVERY: Duration = Duration::from_secs(15);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [number, rate, dependency, server @ ..] = &args[..] {
        return instance::run(number, rate.parse()?, dependency, server.first());
    }
    let Some(server) = Server::start()? else {
        println!("There is no `redis-server` and no `valkey-server`.");
        println!("On Debian: apt-get install redis-server");
        return Ok(());
    };
    println!("Each circuit for itself:\n");
    let alone = run(None)?;
    println!("\nA fleet, over a server at {}:\n", server.url());
    let together = run(Some(&server.url()))?;
    println!("\n{:44} {:>10} {:>10}", "", "alone", "fleet");
    for ((what, alone), (_, together)) in alone.summary().into_iter().zip(together.summary()) {
        println!("{what:44} {alone:>10} {together:>10}");
    }
    println!();
    admissions::compare(&server)
}

fn run(server: Option<&str>) -> Result<Report> {
    let dependency = Dependency::start()?;
    let instances = RATES.iter().enumerate();
    let instances: Vec<Instance> = instances
        .map(|(n, rate)| Instance::start(n + 1, *rate, dependency.addr(), server))
        .collect::<Result<_>>()?;
    let mut report = Report::new(Instant::now());
    let mut follow = |until: Duration, is_over: &dyn Fn(&Report) -> bool| {
        while report.elapsed() < until && !is_over(&report) {
            sleep(Duration::from_millis(50));
            report.look(&instances);
        }
        report.elapsed()
    };
    follow(HEALTHY, &|_| false);
    dependency.set_healthy(false);
    let failed_at = follow(HEALTHY, &|_| false);
    follow(HEALTHY + OUTAGE, &|_| false);
    dependency.set_healthy(true);
    let healed_at = follow(HEALTHY + OUTAGE, &|_| false);
    follow(healed_at + LONGEST_RECOVERY, &Report::are_all_closed);
    report.end(failed_at, healed_at, &dependency.calls());
    Ok(report)
}
