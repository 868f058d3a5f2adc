//! Settings files: a file means the same as the builder's methods, and an error names the position in the file,
//! the setting, its value and what is allowed.
#![cfg(feature = "serde")]

mod as_the_builder;
mod defaults;
mod messages;
mod reconfigure;
mod saved;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use tower_breaker::{
    Backoff, CircuitBreaker, CircuitBreakerBuilder, Config, HalfOpen, SlidingWindow,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A file with several circuits.
type Circuits = BTreeMap<String, Config>;

/// The settings of a builder, for comparison.
fn settings(builder: &CircuitBreakerBuilder) -> String {
    format!("{builder:?}")
}

fn default() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test")
}

#[track_caller]
fn assert_same(config: &Config, builder: &CircuitBreakerBuilder) {
    assert_eq!(settings(&config.builder("test")), settings(builder));
    config.build("test").expect("settings that were read have been checked");
}

#[test]
fn every_setting_has_the_name_and_the_meaning_of_a_method_of_the_builder() {
    let file = r#"
        consecutive_failures = 7
        failure_count_threshold = 15
        failure_rate_threshold = 0.25
        slow_call_rate_threshold = 1
        slow_call_duration_threshold = "1s 500ms"
        sliding_window = { time = "1m 30s", buckets = 9 }
        minimum_calls = 50
        open_duration = { initial = "1s", max = "60s", factor = 3, jitter = 0.0 }
        half_open = { sample = 10, ramp = "30s" }
        probe_timeout = "20s"
        abandoned_after = "900ms"
        hung_after = "2s"
        slow_in_flight = true
        max_retry_after = "1h"
        trip_on_retry_after = true
    "#;
    let backoff = Backoff::exponential(SECOND, 60 * SECOND).factor(3.0).jitter(0.0);
    let same = default()
        .consecutive_failures(7)
        .failure_count_threshold(15)
        .failure_rate_threshold(0.25)
        .slow_call_rate_threshold(1.0)
        .slow_call_duration_threshold(1500 * MS)
        .sliding_window(SlidingWindow::time(90 * SECOND).buckets(9))
        .minimum_calls(50)
        .open_duration(backoff)
        .half_open(HalfOpen::sample(10).ramp(30 * SECOND))
        .probe_timeout(20 * SECOND)
        .abandoned_after(900 * MS)
        .hung_after(2 * SECOND)
        .slow_in_flight(true)
        .max_retry_after(3600 * SECOND)
        .trip_on_retry_after(true);
    assert_same(&toml::from_str(file).unwrap(), &same);
}

#[test]
fn a_window_a_wait_and_a_half_open_rule_can_be_written_in_every_form() {
    let read = |file: &str| toml::from_str(file).unwrap();
    let [count, time] = [SlidingWindow::count(100), SlidingWindow::time(SECOND)];
    assert_same(&read("sliding_window = { calls = 100 }"), &default().sliding_window(count));
    assert_same(&read("[sliding_window]\ntime = '1s'"), &default().sliding_window(time));
    assert_same(&read("open_duration = '5s'"), &default().open_duration(5 * SECOND));
    let backoff = Backoff::exponential(SECOND, 2 * SECOND);
    let open_duration = "open_duration = { initial = '1s', max = '2s' }";
    assert_same(&read(open_duration), &default().open_duration(backoff));
    let rule = HalfOpen::consecutive_successes(4);
    let half_open = "half_open = { consecutive_successes = 4 }";
    assert_same(&read(half_open), &default().half_open(rule));
}

#[test]
fn a_setting_that_is_absent_has_its_default() {
    assert_same(&toml::from_str("").unwrap(), &default());
    assert_same(&serde_json::from_str("{}").unwrap(), &default());
    assert_same(&serde_norway::from_str("{}").unwrap(), &default());
    assert_same(&Config::default(), &default());
}

#[test]
fn listeners_can_be_added_to_settings_from_a_file() {
    let (sender, transitions) = std::sync::mpsc::channel();
    let config: Config = toml::from_str("consecutive_failures = 1").unwrap();
    let builder = config.builder("payments").on_transition(move |transition| {
        sender.send(transition.breaker().to_owned()).unwrap();
    });
    builder.build().unwrap().try_acquire().unwrap().failure();
    assert_eq!(transitions.try_recv().unwrap(), "payments");
}

#[test]
fn the_example_of_a_file_is_valid() {
    let circuits: Circuits = toml::from_str(include_str!("../../examples/circuits.toml")).unwrap();
    assert_eq!(circuits.keys().collect::<Vec<_>>(), ["payments", "recommendations", "search"]);
}
