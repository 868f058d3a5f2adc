//! `with_defaults`: the settings of one circuit over those of all.

use crate::{Config, default};

fn read(file: &str) -> Config {
    toml::from_str(file).unwrap()
}

#[track_caller]
fn assert_merged(file: &str, base: &str, merged: &str) {
    assert_eq!(read(file).with_defaults(&read(base)), read(merged));
}

#[test]
fn each_setting_of_the_file_replaces_that_of_the_base_as_a_whole() {
    let base = "
        consecutive_failures = 7
        failure_count_threshold = 9
        failure_rate_threshold = 0.25
        slow_call_rate_threshold = 0.5
        slow_call_duration_threshold = '1s'
        sliding_window = { time = '1m 30s', buckets = 9 }
        minimum_calls = 50
        open_duration = { initial = '1s', max = '60s', factor = 3, jitter = 0.2 }
        half_open = { sample = 10 }
        probe_timeout = '20s'
        abandoned_after = '900ms'
        max_retry_after = '1h'
        trip_on_retry_after = true
    ";
    let file = "
        consecutive_failures = 8
        failure_count_threshold = 10
        failure_rate_threshold = 0.3
        slow_call_rate_threshold = 0.6
        slow_call_duration_threshold = '2s'
        sliding_window = { time = '30s' }
        minimum_calls = 51
        open_duration = '5s'
        half_open = { consecutive_successes = 2 }
        probe_timeout = '21s'
        abandoned_after = '901ms'
        max_retry_after = '2h'
        trip_on_retry_after = false
    ";
    assert_merged(file, base, file);
    assert_merged(file, "", file);
    assert_merged("", base, base);
    for line in file.lines().filter(|line| line.contains("minimum_calls")) {
        assert_merged(line, base, &base.replace("minimum_calls = 50", line));
    }
}

#[test]
fn trip_rules_of_the_base_stay_on_unless_the_file_says_that_there_are_none() {
    let base = "consecutive_failures = 7\nfailure_rate_threshold = 0.5";
    assert_merged(
        "failure_rate_threshold = 0.1",
        base,
        "consecutive_failures = 7\nfailure_rate_threshold = 0.1",
    );
    assert_merged("no_trip_rules = true", base, "no_trip_rules = true");
    assert_merged(
        "no_trip_rules = false",
        base,
        "consecutive_failures = 7\nfailure_rate_threshold = 0.5\nno_trip_rules = false",
    );
}

#[test]
fn a_trip_rule_of_the_file_replaces_that_the_base_has_none() {
    let base = "no_trip_rules = true\nprobe_timeout = '1s'";
    assert_merged("probe_timeout = '2s'", base, "no_trip_rules = true\nprobe_timeout = '2s'");
    for rule in [
        "consecutive_failures = 5",
        "failure_count_threshold = 5",
        "failure_rate_threshold = 0.5",
        "slow_call_rate_threshold = 0.5\nslow_call_duration_threshold = '1s'",
    ] {
        assert_merged(rule, base, &format!("{rule}\nprobe_timeout = '1s'"));
    }
}

#[test]
fn what_does_not_go_together_is_an_error_when_the_breaker_is_built() {
    let sample = read("half_open = { sample = 10 }"); // the default rules have a rate
    let error = sample.with_defaults(&read("consecutive_failures = 5")).build("test").unwrap_err();
    assert_eq!(error.setting(), "half_open");
}

#[test]
fn a_base_without_settings_changes_nothing() {
    crate::assert_same(&Config::default().with_defaults(&Config::default()), &default());
}
