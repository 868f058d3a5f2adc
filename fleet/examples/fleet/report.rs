//! What is printed: a row per second, what happened, and a summary.

use std::time::{Duration, Instant};

use crate::dependency::Call;
use crate::instance::Instance;

pub(crate) struct Report {
    begun: Instant,
    printed: u64,
    states: Vec<String>,
    /// When each circuit opened first.
    opened: Vec<Option<Duration>>,
    failed_until_open: usize,
    probes: usize,
    most_probes_at_once: usize,
    until_open: Option<Duration>,
    until_closed: Option<Duration>,
}

impl Report {
    pub(crate) fn new(begun: Instant) -> Self {
        println!(
            "second   instances 1 and 2 make 20 calls a second, the others one; `?` is suspected"
        );
        Self {
            begun,
            printed: 0,
            states: Vec::new(),
            opened: Vec::new(),
            failed_until_open: 0,
            probes: 0,
            most_probes_at_once: 0,
            until_open: None,
            until_closed: None,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn are_all_closed(&self) -> bool {
        self.states.iter().all(|state| state.starts_with("closed"))
    }

    pub(crate) fn look(&mut self, instances: &[Instance]) {
        let seen: Vec<_> = instances.iter().map(Instance::look).collect();
        let elapsed = self.elapsed();
        for (number, seen) in seen.iter().enumerate() {
            for event in &seen.events {
                println!("{:6.1}   instance {}: {event}", elapsed.as_secs_f64(), number + 1);
            }
        }
        self.states = seen.into_iter().map(|seen| seen.state).collect();
        self.opened.resize(self.states.len(), None);
        for (opened, state) in self.opened.iter_mut().zip(&self.states) {
            if !state.starts_with("closed") {
                opened.get_or_insert(elapsed);
            }
        }
        if elapsed.as_secs() > self.printed {
            self.printed = elapsed.as_secs();
            let states: String = self.states.iter().map(|state| format!("{state:>10}")).collect();
            println!("{:6.1} {states}", elapsed.as_secs_f64());
        }
    }

    pub(crate) fn end(&mut self, failed_at: Duration, healed_at: Duration, calls: &[Call]) {
        let all_open = self.opened.iter().copied().collect::<Option<Vec<_>>>();
        let all_open = all_open.and_then(|opened| opened.into_iter().max());
        self.until_open = all_open.map(|at| at.saturating_sub(failed_at));
        self.until_closed = self.are_all_closed().then(|| self.elapsed().saturating_sub(healed_at));
        let at = |call: &Call| call.at - self.begun;
        let is_before = |call: &&Call| at(call) <= all_open.unwrap_or(healed_at);
        self.failed_until_open =
            calls.iter().filter(|call| call.failed && !call.is_probe).filter(is_before).count();
        let probes: Vec<Duration> =
            calls.iter().filter(|call| call.is_probe && call.failed).map(at).collect();
        self.probes = probes.len();
        let within = |from: &Duration| {
            probes
                .iter()
                .filter(|at| (*from..*from + Duration::from_millis(100)).contains(*at))
                .count()
        };
        self.most_probes_at_once = probes.iter().map(within).max().unwrap_or(0);
    }

    pub(crate) fn summary(&self) -> [(&'static str, String); 5] {
        let seconds = |d: Option<Duration>| {
            d.map_or_else(|| "never".into(), |d| format!("{:.1} s", d.as_secs_f64()))
        };
        [
            ("until all circuits were open", seconds(self.until_open)),
            ("calls that failed until then", self.failed_until_open.to_string()),
            ("probes that failed during the outage", self.probes.to_string()),
            ("most of them within 100 ms", self.most_probes_at_once.to_string()),
            ("from recovery until all were closed", seconds(self.until_closed)),
        ]
    }
}
