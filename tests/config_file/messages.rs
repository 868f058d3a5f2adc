//! The exact messages for invalid files, because people read them.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use tower_breaker::Config;

use crate::Circuits;

fn text<T>(result: Result<T, impl Display>) -> String {
    result.err().expect("it should be rejected").to_string()
}

fn toml<T: DeserializeOwned>(file: &str) -> String {
    text(toml::from_str::<T>(file))
}

fn json<T: DeserializeOwned>(file: &str) -> String {
    text(serde_json::from_str::<T>(file))
}

fn yaml<T: DeserializeOwned>(file: &str) -> String {
    text(serde_norway::from_str::<T>(file))
}

#[test]
fn a_value_out_of_range_is_shown_at_its_position_in_toml() {
    let file = "[search]\n\n[payments]\nfailure_rate_threshold = 50\n";
    let message = "\
TOML parse error at line 4, column 26
  |
4 | failure_rate_threshold = 50
  |                          ^^
invalid `failure_rate_threshold`: 50 (allowed: a rate greater than 0 and at most 1)
";
    assert_eq!(toml::<Circuits>(file), message);
}

#[test]
fn a_value_out_of_range_has_its_line_and_column_in_json() {
    let file = "{\n  \"payments\": {\n    \"minimum_calls\": 0\n  }\n}";
    let message = "invalid `minimum_calls`: 0 (allowed: at least 1) at line 3 column 22";
    assert_eq!(json::<Circuits>(file), message);
}

#[test]
fn a_value_out_of_range_has_its_path_line_and_column_in_yaml() {
    let file = "search: {}\npayments:\n  probe_timeout: 0s\n";
    let message = "payments.probe_timeout: invalid `probe_timeout`: 0ns \
                   (allowed: a duration longer than zero) at line 3 column 18";
    assert_eq!(yaml::<Circuits>(file), message);
}

#[test]
fn a_value_inside_a_setting_is_shown_at_its_position() {
    let file = "open_duration = { initial = \"5s\", max = \"10s\", jitter = 2 }\n";
    let message = "\
TOML parse error at line 1, column 57
  |
1 | open_duration = { initial = \"5s\", max = \"10s\", jitter = 2 }
  |                                                         ^
invalid `open_duration`: a jitter of 2 (allowed: a jitter from 0.0 to 1.0)
";
    assert_eq!(toml::<Config>(file), message);
    assert_eq!(
        json::<Config>("{\"sliding_window\": {\n\"calls\": 0}}"),
        "invalid `sliding_window`: 0 calls (allowed: at least 1 call) at line 2 column 10"
    );
    assert_eq!(
        yaml::<Config>("half_open:\n  sample: 0"),
        "half_open.sample: invalid `half_open`: 0 (allowed: at least 1) at line 2 column 11"
    );
}

#[test]
fn every_value_out_of_range_is_shown_at_its_own_position() {
    let wrong = [
        ("consecutive_failures = ", "0", ""),
        ("failure_rate_threshold = ", "1.5", ""),
        ("slow_call_rate_threshold = ", "nan", ""),
        ("slow_call_duration_threshold = ", "'0s'", ""),
        ("sliding_window = { calls = ", "0", " }"),
        ("sliding_window = { time = ", "'0s'", " }"),
        ("sliding_window = { time = '1s', buckets = ", "0", " }"),
        ("minimum_calls = ", "0", ""),
        ("open_duration = ", "'0s'", ""),
        ("open_duration = { initial = ", "'0s'", ", max = '1s' }"),
        ("open_duration = { max = ", "'0s'", ", initial = '1s' }"),
        ("open_duration = { initial = '1s', max = '2s', factor = ", "0.9", " }"),
        ("open_duration = { initial = '1s', max = '2s', jitter = ", "-0.1", " }"),
        ("half_open = { consecutive_successes = ", "0", " }"),
        ("half_open = { sample = ", "0", " }"),
        ("probe_timeout = ", "'0s'", ""),
        ("abandoned_after = ", "'0s'", ""),
        ("max_retry_after = ", "'0s'", ""),
    ];
    for (before, value, after) in wrong {
        let message = toml::<Config>(&format!("{before}{value}{after}"));
        let [carets, what] = [3, 4].map(|line| message.lines().nth(line).unwrap());
        let place = format!("  | {:width$}{}", "", "^".repeat(value.len()), width = before.len());
        assert_eq!(carets, place, "{message}");
        let (setting, _) = before.split_once(' ').unwrap();
        assert!(what.starts_with(&format!("invalid `{setting}`: ")), "{message}");
        assert!(what.contains("(allowed: "), "{message}");
    }
}

#[test]
fn settings_that_do_not_go_together_are_shown_at_their_table() {
    let file = "[a]\n\n[b]\nminimum_calls = 5\nslow_call_rate_threshold = 0.5\n";
    let message = "\
TOML parse error at line 3, column 1
  |
3 | [b]
  | ^^^
invalid `slow_call_rate_threshold`: 0.5 without a slow call duration \
(allowed: only together with `slow_call_duration_threshold`)
";
    assert_eq!(toml::<Circuits>(file), message);
    assert_eq!(
        json::<Config>("{\"consecutive_failures\": 5,\n \"half_open\": {\"sample\": 10}}"),
        "invalid `half_open`: a sample of 10 without a rate rule (allowed: a sample together with \
         `failure_rate_threshold` or `slow_call_rate_threshold`) at line 2 column 29"
    );
    assert_eq!(
        yaml::<Circuits>("a:\n  open_duration:\n    initial: 2s\n    max: 1s\n"),
        "a.open_duration: invalid `open_duration`: a maximum of 1s with an initial wait of 2s \
         (allowed: a maximum not shorter than the initial wait) at line 3 column 5"
    );
    assert_eq!(
        json::<Config>("{\"sliding_window\": {\"calls\": 5, \"buckets\": 2}}"),
        "invalid `sliding_window`: a count window with 2 buckets \
         (allowed: buckets on time windows only) at line 1 column 45"
    );
}

#[test]
fn a_form_that_is_missing_or_duplicated_is_rejected() {
    let wrong = |file: &str| yaml::<Config>(file);
    assert_eq!(
        wrong("sliding_window: {}"),
        "sliding_window: invalid `sliding_window`: neither `calls` nor `time` \
         (allowed: either `calls` or `time`) at line 1 column 17"
    );
    assert_eq!(
        wrong("sliding_window: {calls: 5, time: 1s}"),
        "sliding_window: invalid `sliding_window`: both `calls` and `time` \
         (allowed: either `calls` or `time`) at line 1 column 17"
    );
    assert_eq!(
        wrong("half_open: {}"),
        "half_open: invalid `half_open`: neither `consecutive_successes` nor `sample` \
         (allowed: either `consecutive_successes` or `sample`) at line 1 column 12"
    );
    assert_eq!(
        wrong("half_open: {consecutive_successes: 1, sample: 1}"),
        "half_open: invalid `half_open`: both `consecutive_successes` and `sample` \
         (allowed: either `consecutive_successes` or `sample`) at line 1 column 12"
    );
    for (present, absent) in [("initial", "max"), ("max", "initial")] {
        assert_eq!(
            wrong(&format!("open_duration: {{{present}: 5s}}")),
            format!(
                "open_duration: invalid `open_duration`: a table without `{absent}` \
                 (allowed: a duration, or a table with `initial` and `max`) at line 1 column 16"
            )
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_what_is_expected() {
    let wrong = |file: &str| json::<Config>(file);
    assert_eq!(
        wrong(r#"{"probe_timeout": 30}"#),
        "invalid type: integer `30`, expected a duration with its unit, such as \"30s\" or \
         \"1m 30s\", for `probe_timeout` at line 1 column 20"
    );
    assert_eq!(
        wrong(r#"{"probe_timeout": "30"}"#),
        "invalid value: string \"30\", expected a duration with its unit, such as \"30s\" or \
         \"1m 30s\", for `probe_timeout` at line 1 column 22"
    );
    assert_eq!(
        wrong(r#"{"open_duration": 5}"#),
        "invalid type: integer `5`, expected a duration such as \"5s\", or a table with `initial` \
         and `max`, for `open_duration` at line 1 column 19"
    );
    assert_eq!(
        wrong(r#"{"consecutive_failures": -1}"#),
        "invalid value: integer `-1`, expected a whole number up to 4294967295 for \
         `consecutive_failures` at line 1 column 27"
    );
    assert_eq!(
        wrong(r#"{"failure_rate_threshold": "half"}"#),
        "invalid type: string \"half\", expected a number for `failure_rate_threshold` \
         at line 1 column 33"
    );
    assert_eq!(
        wrong(r#"{"trip_on_retry_after": 1}"#),
        "invalid type: integer `1`, expected true or false for `trip_on_retry_after` \
         at line 1 column 25"
    );
    assert_eq!(
        wrong(r#"{"half_open": null}"#),
        "invalid type: null, expected a table with `consecutive_successes` or `sample` for \
         `half_open` at line 1 column 18"
    );
    assert_eq!(
        wrong("[]"),
        "invalid type: sequence, expected a table of a circuit breaker's settings \
         at line 1 column 0"
    );
}

#[test]
fn an_unknown_setting_is_rejected_with_a_list_of_the_known_ones() {
    let file = "[payments]\nfailure_treshold = 0.5\n";
    let message = "\
TOML parse error at line 2, column 1
  |
2 | failure_treshold = 0.5
  | ^^^^^^^^^^^^^^^^
unknown field `failure_treshold`, expected one of `consecutive_failures`, \
`failure_count_threshold`, `failure_rate_threshold`, `slow_call_rate_threshold`, \
`slow_call_duration_threshold`, `no_trip_rules`, `sliding_window`, `minimum_calls`, `open_duration`, `half_open`, `probe_timeout`, \
`abandoned_after`, `hung_after`, `slow_in_flight`, `max_retry_after`, `trip_on_retry_after`, `enforcement`
";
    assert_eq!(toml::<Circuits>(file), message);
    assert_eq!(
        yaml::<Config>("half_open:\n  samples: 3"),
        "half_open: unknown field `samples`, expected one of `consecutive_successes`, `sample`, `ramp` \
         at line 2 column 3"
    );
}

#[test]
fn a_value_of_another_type_is_rejected_for_every_setting() {
    let duration = "a duration with its unit, such as \"30s\" or \"1m 30s\",";
    let wrong = [
        ("trip_on_retry_after", "\"yes\"", "true or false"),
        ("trip_on_retry_after", "1", "true or false"),
        ("consecutive_failures", "\"five\"", "a whole number up to 4294967295"),
        ("consecutive_failures", "4294967296", "a whole number up to 4294967295"),
        ("consecutive_failures", "-1", "a whole number up to 4294967295"),
        ("consecutive_failures", "2.5", "a whole number up to 4294967295"),
        ("failure_rate_threshold", "true", "a number"),
        ("failure_rate_threshold", "\"50%\"", "a number"),
        ("probe_timeout", "30", duration),
        ("probe_timeout", "true", duration),
        ("probe_timeout", "\"soon\"", duration),
    ];
    for (setting, value, expected) in wrong {
        let message = json::<Config>(&format!("{{\"{setting}\": {value}}}"));
        assert!(message.contains(&format!("expected {expected} for `{setting}`")), "{message}");
    }
}

#[test]
fn a_rate_may_be_a_whole_number_in_every_format() {
    let builder = crate::default().failure_rate_threshold(1.0);
    let configs: [Config; 3] = [
        toml::from_str("failure_rate_threshold = 1").unwrap(),
        serde_json::from_str("{\"failure_rate_threshold\": 1}").unwrap(),
        serde_norway::from_str("failure_rate_threshold: 1").unwrap(),
    ];
    configs.iter().for_each(|config| crate::assert_same(config, &builder));
}

#[test]
fn a_key_or_a_value_with_control_characters_is_escaped_in_the_message() {
    let hostile = r"a\nb\u001b[2J\u202e";
    let known = "consecutive_failures";
    for file in [
        format!(r#"{{"{hostile}": 1}}"#),
        format!(r#"{{"open_duration": {{"{hostile}": 1}}}}"#),
        format!(r#"{{"half_open": {{"{hostile}": 1}}}}"#),
        format!(r#"{{"sliding_window": {{"{hostile}": 1}}}}"#),
        format!(r#"{{"{known}": "{hostile}"}}"#),
        format!(r#"{{"probe_timeout": "{hostile}"}}"#),
        format!(r#"{{"open_duration": "{hostile}"}}"#),
    ] {
        for message in [json::<Config>(&file), yaml::<Config>(&file)] {
            assert!(message.contains(r"a\nb\u{1b}[2J\u{202e}"), "{message:?}");
            assert!(!message.contains(['\n', '\u{1b}', '\u{202e}']), "{message:?}");
        }
    }
    let message = toml::<Config>(&format!("\"{hostile}\" = 1"));
    assert!(message.contains(r"unknown field `a\nb\u{1b}[2J\u{202e}`"), "{message:?}");
    assert!(!message.contains(['\u{1b}', '\u{202e}']), "{message:?}");
}
