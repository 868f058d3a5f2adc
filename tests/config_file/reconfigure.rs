//! A file changes the settings of a live circuit.

use tower_breaker::{Config, Reconfigured, State};

fn config(file: &str) -> Config {
    toml::from_str(file).unwrap()
}

#[test]
fn a_changed_file_changes_the_settings_and_an_equal_one_does_nothing() {
    let breaker = config("consecutive_failures = 5").build("test").unwrap();
    breaker.try_acquire().unwrap().failure();
    let changed = config("consecutive_failures = 2");
    assert_eq!(changed.reconfigure(&breaker).unwrap(), Reconfigured::WindowKept);
    assert_eq!(changed.reconfigure(&breaker).unwrap(), Reconfigured::Unchanged);
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.name(), "test");
}

#[test]
fn a_setting_that_is_absent_gets_its_default_but_the_share_that_is_enforced_stays() {
    let breaker =
        config("failure_rate_threshold = 0.5\nsliding_window = { calls = 10 }\nenforcement = 0.0")
            .build("test")
            .unwrap();
    let defaults = config("");
    assert_eq!(defaults.reconfigure(&breaker).unwrap(), Reconfigured::WindowRestarted);
    assert_eq!(breaker.snapshot().trip_rules().count(), 2);
    assert_eq!(breaker.snapshot().enforcement(), 0.0);
    config("enforcement = 0.25").reconfigure(&breaker).unwrap();
    assert_eq!(breaker.snapshot().enforcement(), 0.25);
}

#[test]
fn settings_that_do_not_go_together_leave_everything_as_it_was() {
    let base = config("failure_count_threshold = 50");
    let combined = config("sliding_window = { calls = 10 }").with_defaults(&base);
    let breaker = config("consecutive_failures = 5").build("test").unwrap();
    let before = breaker.snapshot();
    assert_eq!(combined.reconfigure(&breaker).unwrap_err().setting(), "failure_count_threshold");
    assert_eq!(breaker.snapshot().trip_rules().count(), before.trip_rules().count());
}
