use std::fs::File;
use std::io::BufReader;

use tower_breaker::Config;
use tower_breaker::replay::{self, Trace};

use crate::{file, recorded, tune, tune_with};

const SETTINGS: &str =
    "failure_rate_threshold = 0.5\nconsecutive_failures = 5\nopen_duration = '1s'\n";

fn library(trace: &str) -> replay::Report {
    let trace = Trace::read_csv(BufReader::new(File::open(recorded(trace)).unwrap())).unwrap();
    let config: Config = toml::from_str(SETTINGS).unwrap();
    replay::run(&config.builder(""), &trace).unwrap()
}

#[test]
fn the_numbers_of_the_json_are_those_of_the_library() {
    let settings = file("replay_json.toml", SETTINGS);
    for trace in ["outage.csv", "soak.csv"] {
        let json = tune(&format!("replay {settings} {} --json", recorded(trace))).json();
        let report = serde_json::to_value(library(trace)).unwrap();
        let report = report.as_object().unwrap();
        assert!(report["calls"].as_u64().unwrap() >= 500);
        assert!(report["openings"].as_u64().unwrap() > 0);
        for (name, value) in report {
            assert_eq!(json[name], *value, "{name}");
        }
        assert_eq!(json["settings"]["consecutive_failures"], 5);
    }
}

#[test]
fn the_table_is_that_of_the_library_with_the_hints() {
    let settings = file("replay_table.toml", SETTINGS.replace("= 5\n", "= 100000\n"));
    let text = tune(&format!("replay {settings} {}", recorded("outage.csv"))).succeeded();
    assert!(text.starts_with("the trace: "), "{text}");
    assert!(text.contains("\nhint: consecutive_failures is 100000, and at most "), "{text}");
    let settings = file("replay_table_2.toml", SETTINGS);
    let text = tune(&format!("replay {settings} {}", recorded("outage.csv"))).succeeded();
    assert!(text.starts_with(&library("outage.csv").to_string()), "{text}");
}

#[test]
fn a_trace_with_holes_says_how_many_calls_are_unknown() {
    let settings = file("replay_holes.toml", SETTINGS);
    let text = tune(&format!("replay {settings} {}", recorded("soak.csv"))).succeeded();
    assert!(text.contains(" whose end the trace does not know"), "{text}");
}

#[test]
fn the_calls_of_one_key_can_be_replayed_alone() {
    let settings = file("replay_key.toml", SETTINGS);
    let trace = "at_us,key,outcome,duration_us\n0,a,success,1\n1,b,failure,1\n2,a,success,1\n";
    let trace = file("replay_key.csv", trace);
    let json = tune(&format!("replay {settings} {trace} --key a --json")).json();
    assert_eq!((&json["calls"], &json["circuits"]), (&2.into(), &1.into()));
    let error = tune(&format!("replay {settings} {trace} --key c")).failed_with(2);
    assert!(error.contains("replay_key.csv: has no calls with the key \"c\""), "{error}");
}

#[test]
fn settings_are_read_from_toml_yaml_and_json_and_from_one_of_several_tables() {
    let trace = recorded("outage.csv");
    let toml = file("formats.toml", "consecutive_failures = 3\n");
    let expected = tune(&format!("replay {toml} {trace} --json")).json();
    let yaml = file("formats.yaml", "consecutive_failures: 3\n");
    let json = file("formats.json", r#"{ "consecutive_failures": 3 }"#);
    let several =
        file("several.toml", "[a]\nconsecutive_failures = 3\n[b]\nno_trip_rules = true\n");
    let only = file("only.yml", "a:\n  consecutive_failures: 3\n");
    for settings in [yaml, json, format!("{several} --circuit a"), only] {
        let report = tune(&format!("replay {settings} {trace} --json")).json();
        assert_eq!(report, expected, "{settings}");
    }
    let error = tune(&format!("replay {several} {trace}")).failed_with(2);
    let problem =
        "several.toml: has settings for several circuits: choose one by `--circuit` (\"a\", \"b\")";
    assert!(error.contains(problem), "{error}");
    let error = tune(&format!("replay {several} {trace} --circuit c")).failed_with(2);
    assert!(error.contains("has no table \"c\" (there are: \"a\", \"b\")"), "{error}");
}

#[test]
fn a_trace_and_settings_are_read_from_standard_input() {
    let trace = std::fs::read(recorded("outage.csv")).unwrap();
    let settings = file("stdin.toml", SETTINGS);
    let expected = tune(&format!("replay {settings} {}", recorded("outage.csv"))).succeeded();
    assert_eq!(tune_with(&format!("replay {settings} -"), &trace).succeeded(), expected);
    let line = format!("replay - {}", recorded("outage.csv"));
    assert_eq!(tune_with(&line, SETTINGS.as_bytes()).succeeded(), expected);
}

#[test]
fn an_assertion_that_does_not_hold_is_exit_code_1_and_says_why() {
    let settings = file("assert.toml", "failure_rate_threshold = 0.5\nminimum_calls = 50\n");
    let scenario = "--scenario black-hole,rate=1";
    let within = |assertion: &str| tune(&format!("replay {settings} {scenario} {assertion}"));
    let error = within("--assert-opens-within 5s").failed_with(1);
    let why = "hint: minimum_calls is 50, and no circuit counts more than 31 calls in any 30.0s of this traffic";
    assert!(
        error.contains(
            "the circuit did not open within 5.0s of the incident at 1m 0s: it stayed closed"
        ),
        "{error}"
    );
    assert!(error.contains(why), "{error}");

    let good = file("assert_good.toml", "consecutive_failures = 5\nopen_duration = '1s'\n");
    let within = |assertion: &str| tune(&format!("replay {good} {scenario} {assertion}"));
    within("--assert-opens-within 10s --assert-recovers-within 10s --assert-sheds-at-most 0.05")
        .succeeded();
    let error = within("--assert-opens-within 2s --assert-recovers-within 1ms").failed_with(1);
    assert!(
        error.contains("did not open within 2.0s of the incident at 1m 0s: it opened after 5.0s"),
        "{error}"
    );
    assert!(
        error.contains(
            "was not closed within 1.0ms of the end of the incident at 1m 0s: it closed after 2.0s"
        ),
        "{error}"
    );
    let slow = file("assert_slow.toml", "consecutive_failures = 5\nopen_duration = '3m'\n");
    let error =
        tune(&format!("replay {slow} {scenario} --assert-sheds-at-most 0.5")).failed_with(1);
    assert!(error.contains("of 240 good calls were shed ("), "{error}");
    assert!(error.contains("which is more than 50 %"), "{error}");

    let calm = file("calm.csv", "at_us,key,outcome,duration_us\n0,,success,1\n");
    let error = tune(&format!("replay {good} {calm} --assert-opens-within 1s")).failed_with(1);
    assert!(error.contains("there is no incident in the traffic"), "{error}");
}

#[test]
fn a_recovery_is_not_asserted_by_incidents_that_do_not_end() {
    let settings = file("no_end.toml", "consecutive_failures = 5\nopen_duration = '1s'\n");
    let mut trace = "at_us,key,outcome,duration_us\n".to_owned();
    for second in 0..30 {
        let outcome = if second < 10 { "success" } else { "failure" };
        trace += &format!("{},,{outcome},1000\n", second * 1_000_000);
    }
    let trace = file("no_end.csv", trace);
    tune(&format!("replay {settings} {trace} --assert-opens-within 5s")).succeeded();
    let error =
        tune(&format!("replay {settings} {trace} --assert-recovers-within 5s")).failed_with(1);
    assert!(error.contains("no incident in the traffic has an end"), "{error}");
}
