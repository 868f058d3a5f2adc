//! [`Instance`]: a process of its own with one circuit, which does what a test tells it.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tower_breaker::{Backoff, CircuitBreaker, HalfOpen};
use tower_breaker_fleet::{Fleet, RedisStore};

use crate::{SECOND, TIME_TO_LIVE};

pub(crate) struct Instance {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

/// What an instance says about itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) state: String,
    pub(crate) is_suspected: bool,
    pub(crate) is_connected: bool,
    pub(crate) instances: u64,
    pub(crate) tasks: u64,
    pub(crate) failed_exchanges: u64,
    pub(crate) resident_kb: u64,
    /// The longest time that any admission has taken since the last report.
    pub(crate) slowest: Duration,
}

impl Instance {
    pub(crate) fn start(url: &str) -> Self {
        Self::start_by(&[], url)
    }

    /// Starts it by another program, such as one that gives it another clock.
    pub(crate) fn start_by(program: &[&str], url: &str) -> Self {
        let this = std::env::current_exe().unwrap();
        let words: Vec<&str> = program.iter().copied().chain([this.to_str().unwrap()]).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(["play_an_instance", "--exact", "--nocapture", "--test-threads=1"])
            .env("FLEET_INSTANCE", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", words[0]));
        let pipes = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, pipes: RefCell::new(pipes) }
    }

    /// Tells it to do something, and returns what it says afterwards.
    pub(crate) fn ask(&self, what: &str) -> Report {
        let (stdin, stdout) = &mut *self.pipes.borrow_mut();
        writeln!(stdin, "{what}").unwrap();
        loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "an instance has ended");
            // The test harness begins the line.
            if let Some((_, report)) = line.trim().split_once("report ") {
                return Report::read(report);
            }
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Report {
    fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |n: usize| words[n].parse().unwrap();
        Self {
            state: words[0].into(),
            is_suspected: words[1] == "true",
            is_connected: words[2] == "true",
            instances: number(3),
            tasks: number(4),
            failed_exchanges: number(5),
            resident_kb: number(6),
            slowest: Duration::from_nanos(number(7)),
        }
    }
}

/// Is an instance until the test that has started it ends.
pub(crate) fn play(url: &str) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let _runtime = runtime.enter();
    let breaker = CircuitBreaker::builder("payments")
        .consecutive_failures(6)
        .open_duration(Backoff::constant(20 * SECOND).jitter(0.0))
        .half_open(HalfOpen::consecutive_successes(1))
        .build()
        .unwrap();
    let store = RedisStore::open(url).unwrap();
    let fleet = Fleet::builder("test", store).time_to_live(TIME_TO_LIVE).spawn().unwrap();
    fleet.add(&breaker).unwrap();
    let mut others = Vec::new();
    let mut slowest = Duration::ZERO;
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let n = words.get(1).map_or(1, |n| n.parse().unwrap());
        match words[0] {
            "status" => {}
            "trip" => breaker.trip(),
            "reset" => breaker.reset(),
            "fail" => (0..n).for_each(|_| {
                if let Ok(permit) = breaker.try_acquire() {
                    permit.failure();
                }
            }),
            "succeed" => (0..n).for_each(|_| {
                let begun = Instant::now();
                let permit = breaker.try_acquire();
                slowest = slowest.max(begun.elapsed());
                if let Ok(permit) = permit {
                    permit.success();
                }
            }),
            "names" => {
                for n in 0..n {
                    let other = CircuitBreaker::new(format!("other {n}"));
                    fleet.add(&other).unwrap();
                    others.push(other);
                }
            }
            other => panic!("what is {other:?}?"),
        }
        let (snapshot, status) = (breaker.snapshot(), fleet.status());
        println!(
            "report {} {} {} {} {} {} {} {}",
            snapshot.state().name(),
            snapshot.suspected_for().is_some(),
            status.is_connected,
            status.instances,
            runtime.metrics().num_alive_tasks(),
            status.failed_exchanges,
            resident_kb(),
            std::mem::take(&mut slowest).as_nanos(),
        );
    }
}

/// Zero where there is no such file.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
