use std::fs::File;
use std::io::BufReader;

use serde_json::json;
use tower_breaker::Config;
use tower_breaker::replay::{self, Scenario, Trace};

use crate::{file, recorded, run, scratch, tune};

const VARY: &str = "--vary failure_rate_threshold=0.2,0.5,0.9 --vary minimum_calls=5..=25/10 --vary consecutive_failures=none,3";

#[test]
fn a_sweep_tries_all_combinations_and_its_numbers_are_those_of_the_library() {
    let settings = file("sweep.toml", "open_duration = '500ms'\n");
    let json = tune(&format!("sweep {settings} {} {VARY} --json", recorded("outage.csv"))).json();
    let tried = json["tried"].as_array().unwrap();
    assert_eq!(tried.len(), 3 * 3 * 2);
    let trace =
        Trace::read_csv(BufReader::new(File::open(recorded("outage.csv")).unwrap())).unwrap();
    let mut seen = std::collections::HashSet::new();
    for one in tried {
        assert!(seen.insert(one["values"].to_string()));
        let config: Config = serde_json::from_value(one["settings"].clone()).unwrap();
        let report = replay::run(&config.builder(""), &trace).unwrap();
        let report = serde_json::to_value(&report).unwrap();
        for name in ["shed_good", "shed_bad", "shed_share", "sent_bad", "openings", "flaps"] {
            assert_eq!(one[name], report[name], "{name}");
        }
    }
    assert_eq!(json["report"]["shed_good"], json["chosen"]["shed_good"]);
    assert_eq!(json["chosen"], tried[0]);
}

#[test]
fn the_chosen_settings_are_written_as_a_file_that_does_what_the_sweep_says() {
    let settings = file("sweep_write.toml", "open_duration = '500ms'\n");
    let trace = recorded("outage.csv");
    for extension in ["toml", "yaml", "json"] {
        let tuned = scratch(&format!("tuned.{extension}"));
        let tuned = tuned.to_str().unwrap();
        let json = tune(&format!("sweep {settings} {trace} {VARY} --json --write {tuned}")).json();
        let report = tune(&format!("replay {tuned} {trace} --json")).json();
        assert_eq!(report["shed_good"], json["chosen"]["shed_good"]);
        assert_eq!(report["settings"], json["chosen"]["settings"]);
    }
}

#[test]
fn the_time_to_open_is_that_of_the_incident_and_its_whole_length_if_the_circuit_stays_closed() {
    let settings = file("sweep_time.toml", "");
    let line = "--scenario always-failing,rate=10 --vary consecutive_failures=5,100000 --json";
    let json = tune(&format!("sweep {settings} {line}")).json();
    let by_value = |value: &str| {
        let mut tried = json["tried"].as_array().unwrap().iter();
        tried.find(|one| one["values"]["consecutive_failures"] == value).unwrap()
    };
    let config: Config = toml::from_str("consecutive_failures = 5").unwrap();
    let report = replay::run(&config.builder(""), Scenario::always_failing(10)).unwrap();
    let opened_after = report.incidents()[0].opened_after.unwrap().as_secs_f64();
    assert_eq!(by_value("5")["time_to_open_seconds"], json!(opened_after));
    assert_eq!(by_value("5")["missed"], 0);
    assert_eq!(by_value("100000")["time_to_open_seconds"], json!(60.0));
    assert_eq!(by_value("100000")["missed"], 1);
}

#[test]
fn ranges_may_be_in_a_file() {
    let settings = file("sweep_ranges.toml", "");
    let ranges = file(
        "ranges.toml",
        "failure_rate_threshold = [0.2, 0.5]\nminimum_calls = '5..=15/5'\nopen_duration.initial = ['1s']\nopen_duration.max = '1s'\n",
    );
    let line = format!("sweep {settings} --scenario slow --ranges {ranges} --json");
    assert_eq!(tune(&line).json()["tried"].as_array().unwrap().len(), 6);
}

#[test]
fn combinations_that_do_not_go_together_are_left_out_and_counted() {
    let settings = file("sweep_invalid.toml", "");
    let line = "--scenario always-failing --vary open_duration.initial=1s,90s --vary open_duration.max=60s";
    let text = tune(&format!("sweep {settings} {line}")).succeeded();
    assert!(text.starts_with("1 combination of settings."), "{text}");
    assert!(text.contains("1 more is not valid: invalid `open_duration"), "{text}");
    let line = "--scenario always-failing --vary failure_rate_threshold=20,30";
    let error = tune(&format!("sweep {settings} {line}")).failed_with(2);
    assert!(
        error.contains("no combination of values is valid: invalid `failure_rate_threshold`: 20"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_swept_is_exit_code_2() {
    let settings = file("sweep_wrong.toml", "");
    let sweep = |line: &str| tune(&format!("sweep {settings} {line}")).failed_with(2);
    assert!(sweep("--scenario slow").contains("nothing varies"));
    assert!(sweep("--vary minimum_calls=1").contains("a trace is needed"));
    assert!(
        sweep("--scenario slow --vary minimum_cals=1").contains("unknown field `minimum_cals`")
    );
    let many = "--vary minimum_calls=1..=1000/1 --vary consecutive_failures=1..=1000/1";
    assert!(sweep(&format!("--scenario slow {many}")).contains("more than 100000 combinations"));
}

#[test]
fn no_progress_is_printed_where_nobody_watches_and_the_number_of_threads_changes_nothing() {
    let settings = file("sweep_threads.toml", "");
    let line = format!("sweep {settings} {} {VARY} --top 3", recorded("outage.csv"));
    let one = run(crate::program().args(line.split_whitespace()).env("RAYON_NUM_THREADS", "1"));
    let text = tune(&line).succeeded(); // nothing on standard error
    assert_eq!(one.succeeded(), text);
    assert!(text.contains(" more combinations\n"), "{text}");
}
