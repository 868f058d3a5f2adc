//! Settings that do not fit the traffic.

use tower_breaker::replay::{Call, Scenario, Trace, hints};
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, Ending, SlidingWindow};

use crate::{ms, secs};

fn settings() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("payments")
}

/// Returns what is said about one setting.
fn hint(settings: &CircuitBreakerBuilder, trace: &Trace, setting: &str) -> Option<String> {
    let hints = hints(settings, trace).unwrap();
    hints.iter().find(|hint| hint.setting() == setting).map(ToString::to_string)
}

/// So many good calls that take 20 ms, and then so many that fail after 1 s, one per second.
fn trace(good: u64, bad: u64) -> Trace {
    let good = (0..good).map(|i| Call::new(secs(i), Ending::Success, ms(20)));
    let bad = (0..bad).map(|i| Call::new(secs(1000 + i), Ending::Failure, secs(1)));
    good.chain(bad).collect()
}

#[test]
fn settings_that_fit_have_no_hint() {
    let trace = Scenario::black_hole(50, secs(1)).trace();
    assert_eq!(hints(&settings(), &trace).unwrap(), []);
}

#[test]
fn the_minimum_of_calls_may_never_be_reached() {
    let in_time = settings().failure_rate_threshold(0.5).minimum_calls(31);
    assert_eq!(
        hint(&in_time, &trace(100, 100), "minimum_calls").unwrap(),
        "minimum_calls is 31, and no circuit counts more than 30 calls in any 30.0s of this traffic"
    );
    assert_eq!(hint(&in_time.minimum_calls(30), &trace(100, 100), "minimum_calls"), None);
    let of_calls = settings()
        .failure_rate_threshold(0.5)
        .sliding_window(SlidingWindow::count(500))
        .minimum_calls(201);
    assert_eq!(
        hint(&of_calls, &trace(100, 100), "minimum_calls").unwrap(),
        "minimum_calls is 201, and no circuit counts more than 200 calls in all of this traffic"
    );
    assert_eq!(hint(&of_calls.minimum_calls(200), &trace(100, 100), "minimum_calls"), None);
}

#[test]
fn a_minimum_that_no_rule_looks_at_is_not_mentioned() {
    let settings = settings().consecutive_failures(5).minimum_calls(1000);
    assert_eq!(hint(&settings, &trace(100, 100), "minimum_calls"), None);
}

#[test]
fn a_streak_may_never_be_long_enough() {
    let settings = settings().consecutive_failures(4);
    assert_eq!(
        hint(&settings, &trace(10, 3), "consecutive_failures").unwrap(),
        "consecutive_failures is 4, and at most 3 calls of a circuit fail in a row in this traffic"
    );
    assert_eq!(hint(&settings, &trace(10, 4), "consecutive_failures"), None);
}

#[test]
fn a_time_may_be_longer_than_every_call_or_shorter_than_good_ones() {
    for (setting, with) in [
        ("hung_after", (|limit| settings().hung_after(limit)) as fn(_) -> _),
        ("slow_call_duration_threshold", |limit| {
            settings().slow_call_duration_threshold(limit).slow_call_rate_threshold(0.5)
        }),
    ] {
        let trace = trace(100, 10);
        assert_eq!(
            hint(&with(ms(1001)), &trace, setting).unwrap(),
            format!("{setting} is 1.001s, and the longest call of this traffic takes 1s")
        );
        assert_eq!(hint(&with(secs(1)), &trace, setting), None);
        assert_eq!(hint(&with(ms(21)), &trace, setting), None);
        assert_eq!(
            hint(&with(ms(20)), &trace, setting).unwrap(),
            format!("{setting} is 20ms, and 1 of 100 calls that succeed takes 20ms or longer")
        );
    }
}

#[test]
fn one_slow_call_of_a_thousand_is_no_reason() {
    let good = (0..1000).map(|i| Call::new(secs(i), Ending::Success, ms(20)));
    let trace: Trace = good.chain([Call::new(secs(1000), Ending::Success, secs(40))]).collect();
    assert_eq!(hint(&settings(), &trace, "probe_timeout"), None);
}

#[test]
fn a_probe_may_need_longer_than_it_has() {
    let settings = settings().probe_timeout(ms(15));
    assert_eq!(
        hint(&settings, &trace(100, 10), "probe_timeout").unwrap(),
        "probe_timeout is 15ms, and 1 of 100 calls that succeed takes 20ms or longer"
    );
}

#[test]
fn what_a_circuit_counts_is_looked_at_for_each_key() {
    let of_key =
        |key: u64| (0..40).map(move |i| (key, Call::new(secs(10 * i), Ending::Failure, ms(1))));
    let calls = (0..100).flat_map(of_key).map(|(key, call)| call.with_key(key.to_string()));
    let settings = settings().failure_rate_threshold(0.5);
    assert_eq!(
        hint(&settings, &calls.collect(), "minimum_calls").unwrap(),
        "minimum_calls is 20, and no circuit counts more than 3 calls in any 30.0s of this traffic"
    );
}

#[test]
fn a_hint_about_an_overload_is_about_the_calls_as_they_fail() {
    let settings = settings().consecutive_failures(5).hung_after(ms(1500));
    let overload = Scenario::overload(90, 100, secs(1));
    let hints = hints(&settings, &overload).unwrap();
    let texts: Vec<String> = hints.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["hung_after is 1.5s, and the longest call of this traffic takes 1s"]);
}
