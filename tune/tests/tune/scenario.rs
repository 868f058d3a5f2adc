use crate::{file, scratch, tune};

#[test]
fn every_scenario_that_is_listed_can_be_run_and_written() {
    let settings = file("scenarios.toml", "consecutive_failures = 5\n");
    let list = tune("scenario list").succeeded();
    let names: Vec<&str> = list
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(names.len(), 8);
    for name in names {
        let report = tune(&format!("scenario run {settings} {name} --json")).json();
        let written = tune(&format!("scenario write {name}")).succeeded();
        assert_eq!(written.lines().count() as u64 - 1, report["calls"].as_u64().unwrap(), "{name}");
    }
}

#[test]
fn the_trace_of_a_scenario_does_what_the_scenario_does() {
    let settings = file("scenario_trace.toml", "consecutive_failures = 5\n");
    let trace = scratch("scenario_trace.csv");
    let trace = trace.to_str().unwrap();
    tune(&format!("scenario write black-hole,rate=10 --output {trace}")).succeeded();
    let from_trace = tune(&format!("replay {settings} {trace} --json")).json();
    let from_scenario = tune(&format!("scenario run {settings} black-hole,rate=10 --json")).json();
    for name in ["calls", "sent", "shed_good", "openings"] {
        assert_eq!(from_trace[name], from_scenario[name], "{name}");
    }
}

/// Settings that have been published, and do not do what they were meant to do.
#[test]
fn settings_that_are_known_to_be_bad_fail_the_assertion_and_the_message_says_why() {
    for (name, settings, scenario, hint) in [
        (
            "a window that never fills",
            "failure_rate_threshold = 0.5\nminimum_calls = 100\n",
            "always-failing,rate=1",
            "minimum_calls is 100, and no circuit counts more than 30 calls",
        ),
        (
            "a rate of 1.0",
            "failure_rate_threshold = 1.0\n",
            "brown-out,share=0.9",
            "failure_rate_threshold is 1: a single success in the window keeps the circuit closed",
        ),
        (
            "a slow threshold above the timeout",
            "slow_call_duration_threshold = '60s'\nslow_call_rate_threshold = 0.5\n",
            "slow,duration=5s",
            "slow_call_duration_threshold is 60s, and the longest call of this traffic takes 5s",
        ),
    ] {
        let settings = file(&format!("{}.toml", name.replace(' ', "_")), settings);
        let run = tune(&format!("scenario run {settings} {scenario} --assert-opens-within 10s"));
        let error = run.failed_with(1);
        assert!(error.contains(hint), "{name}: {error}");
    }
}

#[test]
fn no_hint_says_that_a_rule_does_not_matter_in_an_overload_in_which_it_opens_the_circuit() {
    for settings in
        ["consecutive_failures = 5\n", "consecutive_failures = 30\nhung_after = '900ms'\n"]
    {
        let settings = file("scenario_hints.toml", settings);
        let text = tune(&format!("scenario run {settings} overload")).succeeded();
        assert!(text.contains("\n  openings        1,"), "{text}");
        assert!(!text.contains("hint:"), "{text}");
    }
}
