use crate::{file, tune};

#[test]
fn settings_are_explained_in_sentences_and_defaults_are_marked() {
    let settings = file("explain.toml", "failure_rate_threshold = 0.25\nopen_duration = '5s'\n");
    let text = tune(&format!("explain {settings}")).succeeded();
    let expected = "\
The circuit opens
  - when 25 % or more of the calls of the last 30s (default) failed, from 20 calls in it on (default)
It then stays open for 5s each time.
Half-open, it closes after 3 successful probes, and opens again after one failure (default).
A probe has failed after 30s (default).
A call that is dropped before it ends does not count (default).
A retry-after keeps it open for 5m at most (default).
";
    assert_eq!(text, expected);
}

#[test]
fn all_settings_are_explained() {
    let settings = "\
        consecutive_failures = 3\nfailure_count_threshold = 4\nfailure_rate_threshold = 0.5\n\
        slow_call_rate_threshold = 0.8\nslow_call_duration_threshold = '2s'\nminimum_calls = 7\n\
        sliding_window = { calls = 100 }\nprobe_timeout = '9s'\nabandoned_after = '900ms'\n\
        open_duration = { initial = '1s', max = '60s', factor = 3.0, jitter = 0.2, forget_after = '10m' }\n\
        half_open = { sample = 10, ramp = '40s' }\nhung_after = '3s'\nslow_in_flight = true\n\
        max_retry_after = '8m'\ntrip_on_retry_after = true\nenforcement = 0.25\n";
    let text = tune(&format!("explain {}", file("explain_all.toml", settings))).succeeded();
    for sentence in [
        "after 3 failures in a row",
        "when the last 100 calls hold 4 failures or more",
        "when 50 % or more of the last 100 calls failed, from 7 calls in it on",
        "when 80 % or more of the last 100 calls took 2s or longer, from 7 calls in it on",
        "at the first failure with a retry-after",
        "open for 1s, and 3 times as long after each failed recovery, up to 1m, each wait up to 20 % shorter or longer; it begins with 1s again after 10m closed.",
        "it sends 10 probes, and closes unless their rates reach the thresholds.",
        "A probe has failed after 9s.",
        "grows for 40s before it closes",
        "in flight for 3s counts as failed until it ends",
        "counts as slow while it is in flight",
        "dropped after 900ms or later has failed",
        "keeps it open for 8m at most.",
        "Only 25 % of the rejections are enforced",
    ] {
        assert!(text.contains(sentence), "{sentence}\n{text}");
    }
    assert!(!text.contains("(default)"), "{text}");
    assert!(!text.contains("does not matter"), "{text}");
}

#[test]
fn settings_without_effect_are_found_without_traffic() {
    let settings = "consecutive_failures = 3\nminimum_calls = 5\nsliding_window = { calls = 10 }\n\
        slow_call_duration_threshold = '1s'\n";
    let text = tune(&format!("explain {}", file("idle.toml", settings))).succeeded();
    for problem in [
        "minimum_calls has no effect: no rule looks at a rate",
        "sliding_window has no effect: no rule looks at the window",
        "slow_call_duration_threshold has no effect: slow_call_rate_threshold is not set",
    ] {
        assert!(text.contains(problem), "{problem}\n{text}");
    }
    let settings =
        "failure_rate_threshold = 0.5\nminimum_calls = 50\nsliding_window = { calls = 10 }\n";
    let text = tune(&format!("explain {}", file("idle_minimum.toml", settings))).succeeded();
    assert!(text.contains("minimum_calls is 50, but the window has room for 10 calls"), "{text}");
}

#[test]
fn settings_that_never_matter_in_the_traffic_are_found_with_it() {
    let settings = file("never.toml", "failure_rate_threshold = 0.5\n");
    let text = tune(&format!("explain {settings} --scenario one-request-a-minute")).succeeded();
    assert!(
        text.contains("minimum_calls is 20, and no circuit counts more than 1 call in any"),
        "{text}"
    );
    let text = tune(&format!("explain {settings} --scenario black-hole")).succeeded();
    assert!(text.ends_with("\nEvery setting can matter in this traffic.\n"), "{text}");
}

#[test]
fn a_circuit_without_trip_rules_never_opens() {
    let settings = file("no_rules.toml", "no_trip_rules = true\n");
    let text = tune(&format!("explain {settings}")).succeeded();
    assert!(text.starts_with("The circuit never opens by itself"), "{text}");
}
