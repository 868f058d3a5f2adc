//! What a report says.

use tower_breaker::replay::{self, Call, Fate, Scenario, Trace};
use tower_breaker::{Backoff, CircuitBreaker, CircuitBreakerBuilder, Ending, SlidingWindow, State};

use crate::{ms, secs};

fn settings() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("payments")
        .consecutive_failures(3)
        .open_duration(Backoff::constant(secs(10)).jitter(0.0))
}

#[test]
fn equal_settings_and_traffic_give_an_equal_report_whatever_the_jitter() {
    let jittered = settings().open_duration(Backoff::default());
    let scenario = Scenario::always_failing(20);
    let report = |seed| replay::run_with_seed(&jittered, &scenario, seed).unwrap();
    assert_eq!(report(0), replay::run(&jittered, &scenario).unwrap());
    assert_ne!(report(0).transitions(), report(1).transitions());
}

#[test]
fn a_call_that_ends_when_another_begins_ends_first() {
    let calls = [
        Call::new(ms(0), Ending::Failure, ms(30)),
        Call::new(ms(10), Ending::Failure, ms(20)),
        Call::new(ms(20), Ending::Failure, ms(10)),
        Call::new(ms(30), Ending::Success, ms(10)),
    ];
    let report = replay::run(&settings(), calls.into_iter().collect::<Trace>()).unwrap();
    assert_eq!(report.fates(), [Fate::Admitted, Fate::Admitted, Fate::Admitted, Fate::Shed]);
}

#[test]
fn each_key_has_a_circuit_of_its_own() {
    let calls = (0..40).map(|i| {
        let (key, ending) =
            if i % 2 == 0 { ("a", Ending::Failure) } else { ("b", Ending::Success) };
        Call::new(ms(10 * i), ending, ms(1)).with_key(key)
    });
    let report = replay::run(&settings(), calls.collect::<Trace>()).unwrap();
    assert_eq!((report.circuits(), report.openings()), (2, 1));
    assert_eq!((report.shed_good(), report.shed_bad()), (0, 17));
    assert_eq!(report.incidents().iter().map(|it| &*it.key).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_call_of_unknown_end_takes_a_probe_slot_and_gives_it_back() {
    let mut calls: Vec<Call> = (0..3).map(|i| Call::new(secs(i), Ending::Failure, ms(0))).collect();
    calls.push(Call::rejected(secs(20)));
    calls.extend((21..24).map(|i| Call::new(secs(i), Ending::Success, ms(0))));
    let report = replay::run(&settings(), calls.into_iter().collect::<Trace>()).unwrap();
    assert_eq!((report.unknown(), report.probes()), (1, 4));
    assert_eq!(report.transitions().last().unwrap().to, State::Closed);
    assert_eq!(report.transitions().last().unwrap().at, secs(23));
}

#[test]
fn a_report_prints_a_table() {
    let report = replay::run(&settings(), Scenario::always_failing(10)).unwrap();
    let text = report.to_string();
    assert_eq!(
        text,
        "\
an outage of 60s: 10 calls per second, each fails: 3000 calls in 4m 59s, 1 circuit
  openings        1, and 5 from half-open, 0 flaps
  sent            2400, of which 8 failed
  shed            600, of which 8 would have succeeded (0.33 % of all that succeed), 592 would have failed
  probes          8
  time            closed 3m 59s, open 1m 0s, half-open 320.0ms
  incident at        lasts  opens after      sent  closes after  circuit
  1m 0s              1m 0s      220.0ms         3          1.0s
A recorded call ends as it was recorded, however many calls are shed. A dependency that
recovers because it receives fewer calls is not shown.
"
    );
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn keys_of_strangers_are_escaped() {
    let calls =
        (0..5).map(|i| Call::new(secs(i), Ending::Failure, ms(1)).with_key("\u{1b}[31mred\n"));
    let report = replay::run(&settings(), calls.collect::<Trace>()).unwrap();
    let text = format!("{report}{}", report.transitions()[0]);
    assert!(text.contains("\\u{1b}[31mred\\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

/// A window that is empty has no rate, and a count window never becomes empty.
#[test]
fn the_time_above_the_threshold_is_no_longer_than_there_is_something_in_the_window() {
    let calls = [
        Call::new(secs(0), Ending::Failure, ms(0)),
        Call::new(secs(3600), Ending::Success, ms(0)),
        Call::new(secs(3601), Ending::Failure, ms(0)),
        Call::new(secs(3602), Ending::Failure, ms(0)),
    ];
    let trace: Trace = calls.into_iter().collect();
    let settings = CircuitBreaker::builder("payments").failure_rate_threshold(0.5);
    let longest = |settings| replay::run(&settings, &trace).unwrap().longest_above_threshold();
    assert_eq!(longest(settings.clone()), Some(secs(30)));
    let count_window = settings.sliding_window(SlidingWindow::count(20));
    assert_eq!(longest(count_window), Some(secs(3602)));
}

#[test]
fn an_empty_trace_has_an_empty_report() {
    let report = replay::run(&settings(), Trace::default()).unwrap();
    assert_eq!((report.calls(), report.circuits(), report.shed_share()), (0, 0, 0.0));
    assert!(report.to_string().contains("no incident"));
}

#[test]
fn times_that_are_too_long_are_cut_off() {
    let calls = [
        Call::new(std::time::Duration::MAX, Ending::Failure, std::time::Duration::MAX),
        Call::new(secs(0), Ending::Success, std::time::Duration::MAX),
    ];
    let report = replay::run(&settings(), calls.into_iter().collect::<Trace>()).unwrap();
    assert_eq!(report.duration(), secs(2 * 20 * 365 * 24 * 3600));
}

#[test]
fn listeners_hear_nothing_of_a_replay() {
    let silent = settings().on_event(|event| panic!("{event}"));
    replay::run(&silent, Scenario::always_failing(10)).unwrap();
}

#[cfg(feature = "serde")]
#[test]
fn a_report_serializes_as_a_map() {
    let report = replay::run(&settings(), Scenario::always_failing(10)).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["traffic"], "an outage of 60s: 10 calls per second, each fails");
    assert_eq!(json["calls"], 3000);
    assert_eq!(json["shed_bad"], 592);
    assert_eq!(json["longest_above_threshold_seconds"], serde_json::Value::Null);
    assert_eq!(json["incidents"][0]["opened_after_seconds"], 0.22);
    assert_eq!(json["transitions"][0]["from"], "closed");
    assert_eq!(json["transitions"][0]["cause"]["kind"], "consecutive_failures");
    assert_eq!(json.as_object().unwrap().len(), 22);
}
