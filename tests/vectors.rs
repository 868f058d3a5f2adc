//! Replays scenarios that were recorded from resilience4j and gobreaker. `vectors/README.md` says where the
//! recordings come from and how they map to this crate.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tower_breaker::{Backoff, CircuitBreaker, HalfOpen, Permit, SlidingWindow, State};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    id: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "note")]
    _note: Option<String>,
    lead_ms: u64,
    config: Config,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    consecutive_failures: Option<u32>,
    failure_rate_threshold: Option<f64>,
    slow_call_duration_ms: Option<u64>,
    slow_call_rate_threshold: Option<f64>,
    minimum_calls: Option<u32>,
    window: Option<Window>,
    open: Open,
    half_open: Probes,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Window {
    Count { count: u32 },
    Time { time_ms: u64, buckets: u32 },
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Open {
    Constant { wait_ms: u64 },
    Growing { initial_ms: u64, max_ms: u64, factor: f64 },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Probes {
    Sample(u32),
    ConsecutiveSuccesses(u32),
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Step {
    Advance {
        advance: u64,
    },
    Acquire {
        acquire: u32,
        permitted: bool,
        state: String,
    },
    Complete {
        complete: u32,
        outcome: Ending,
        state: String,
        calls: Option<u64>,
        failures: Option<u64>,
        slow: Option<u64>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Success,
    Failure,
    Ignore,
    Cancel,
}

fn build(config: &Config) -> CircuitBreaker {
    let ms = Duration::from_millis;
    let years = Duration::from_secs(100 * 365 * 24 * 3600);
    let mut builder = CircuitBreaker::builder("recorded").probe_timeout(years);
    if let Some(n) = config.consecutive_failures {
        builder = builder.consecutive_failures(n);
    }
    if let Some(rate) = config.failure_rate_threshold {
        builder = builder.failure_rate_threshold(rate);
    }
    if let Some(d) = config.slow_call_duration_ms {
        builder = builder.slow_call_duration_threshold(ms(d));
    }
    if let Some(rate) = config.slow_call_rate_threshold {
        builder = builder.slow_call_rate_threshold(rate);
    }
    if let Some(n) = config.minimum_calls {
        builder = builder.minimum_calls(n);
    }
    if let Some(window) = &config.window {
        builder = builder.sliding_window(match *window {
            Window::Count { count } => SlidingWindow::count(count),
            Window::Time { time_ms, buckets } => SlidingWindow::time(ms(time_ms)).buckets(buckets),
        });
    }
    let wait = match config.open {
        Open::Constant { wait_ms } => Backoff::constant(ms(wait_ms)),
        Open::Growing { initial_ms, max_ms, factor } => {
            Backoff::exponential(ms(initial_ms), ms(max_ms)).factor(factor).jitter(0.0)
        }
    };
    let rule = match config.half_open {
        Probes::Sample(n) => HalfOpen::sample(n),
        Probes::ConsecutiveSuccesses(n) => HalfOpen::consecutive_successes(n),
    };
    builder.open_duration(wait).half_open(rule).build().unwrap()
}

async fn replay(scenario: &Scenario) {
    let breaker = build(&scenario.config);
    tokio::time::advance(Duration::from_millis(scenario.lead_ms)).await;
    let mut permits: HashMap<u32, Permit> = HashMap::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let at = format!("{} step {index}", scenario.id);
        let assert_state = |expected: &str| {
            let state = match breaker.state() {
                State::Closed => "closed",
                State::Open => "open",
                State::HalfOpen => "half_open",
            };
            assert_eq!(state, expected, "{at}");
        };
        match step {
            Step::Advance { advance } => {
                tokio::time::advance(Duration::from_millis(*advance)).await;
            }
            Step::Acquire { acquire, permitted, state } => {
                let permit = breaker.try_acquire().ok();
                assert_eq!(permit.is_some(), *permitted, "{at}");
                permits.extend(permit.map(|permit| (*acquire, permit)));
                assert_state(state);
            }
            Step::Complete { complete, outcome, state, calls, failures, slow } => {
                let permit = permits.remove(complete).expect("only permitted calls complete");
                match outcome {
                    Ending::Success => permit.success(),
                    Ending::Failure => permit.failure(),
                    Ending::Ignore => permit.ignore(),
                    Ending::Cancel => drop(permit),
                }
                assert_state(state);
                let counted = breaker.snapshot();
                let same = |count: &Option<u64>, now| assert_eq!(count.unwrap_or(now), now, "{at}");
                same(calls, counted.calls());
                same(failures, counted.failures());
                same(slow, counted.slow_calls());
            }
        }
    }
}

async fn replay_all(recorded: &str, scenarios: usize, steps: usize) {
    let parse = |line| serde_json::from_str::<Scenario>(line).unwrap();
    let all: Vec<_> = recorded.lines().map(parse).collect();
    assert_eq!(all.len(), scenarios);
    assert_eq!(all.iter().map(|scenario| scenario.steps.len()).sum::<usize>(), steps);
    for scenario in &all {
        replay(scenario).await;
    }
}

macro_rules! recordings {
    ($($name:ident: $file:literal, $scenarios:literal scenarios, $steps:literal steps;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            replay_all(include_str!(concat!("vectors/", $file)), $scenarios, $steps).await;
        }
    )*};
}

recordings! {
    open_waits_grow_to_the_cap_and_start_over_on_closing: "backoff.jsonl", 138 scenarios, 6746 steps;
    consecutive_failures_trip_and_consecutive_successes_close: "consecutive.jsonl", 48 scenarios, 3967 steps;
    count_windows_hold_the_last_calls: "count.jsonl", 160 scenarios, 8270 steps;
    each_boundary_is_on_the_right_side: "directed.jsonl", 17 scenarios, 197 steps;
    half_open_admits_and_judges_its_sample: "halfopen.jsonl", 155 scenarios, 6786 steps;
    overlapping_calls_count_in_their_own_period: "overlap.jsonl", 159 scenarios, 7655 steps;
    slow_calls_trip_at_their_rate: "slow.jsonl", 155 scenarios, 7656 steps;
    time_windows_slide_on_their_grid: "time.jsonl", 157 scenarios, 9668 steps;
}
