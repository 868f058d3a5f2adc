//! What a `Config` looks like when it is written.

use serde_json::json;
use tower_breaker::{Backoff, Config, HalfOpen, SlidingWindow};

use crate::{Circuits, MS, SECOND};

#[test]
fn only_settings_that_are_present_are_written() {
    assert_eq!(toml::to_string(&Config::default()).unwrap(), "");
    let config: Config = toml::from_str("probe_timeout = '90s'").unwrap();
    assert_eq!(toml::to_string(&config).unwrap(), "probe_timeout = \"1m 30s\"\n");
}

#[test]
fn the_example_of_a_file_is_the_same_after_it_has_been_written() {
    let circuits: Circuits = toml::from_str(include_str!("../../examples/circuits.toml")).unwrap();
    let written = toml::to_string(&circuits).unwrap();
    assert_eq!(toml::from_str::<Circuits>(&written).unwrap(), circuits);
}

#[test]
fn a_window_a_wait_and_a_half_open_rule_are_written_as_they_are_read() {
    let window = |window: SlidingWindow| serde_json::to_value(window).unwrap();
    assert_eq!(window(SlidingWindow::count(100)), json!({ "calls": 100 }));
    assert_eq!(window(SlidingWindow::time(1500 * MS)), json!({ "time": "1s 500ms" }));
    assert_eq!(
        window(SlidingWindow::time(SECOND).buckets(4)),
        json!({ "time": "1s", "buckets": 4 })
    );

    let wait = |wait: Backoff| serde_json::to_value(wait).unwrap();
    assert_eq!(wait(Backoff::constant(5 * SECOND)), json!("5s"));
    let table = json!({ "initial": "1s", "max": "1m", "factor": 2.0, "jitter": 0.1 });
    assert_eq!(wait(Backoff::exponential(SECOND, 60 * SECOND)), table);
    let table = json!({ "initial": "5s", "max": "5s", "factor": 1.0, "jitter": 0.5 });
    assert_eq!(wait(Backoff::constant(5 * SECOND).jitter(0.5)), table);
    for backoff in [
        Backoff::constant(SECOND),
        Backoff::constant(SECOND).jitter(0.0),
        Backoff::constant(SECOND).jitter(0.5),
        Backoff::exponential(SECOND, SECOND),
        Backoff::exponential(SECOND, 2 * SECOND).factor(1.5),
        Backoff::exponential(SECOND, 2 * SECOND).forget_after(60 * SECOND),
    ] {
        assert_eq!(serde_json::from_value::<Backoff>(wait(backoff)).unwrap(), backoff);
    }

    let rule = |rule: HalfOpen| serde_json::to_value(rule).unwrap();
    assert_eq!(rule(HalfOpen::consecutive_successes(3)), json!({ "consecutive_successes": 3 }));
    assert_eq!(rule(HalfOpen::sample(10)), json!({ "sample": 10 }));
}
