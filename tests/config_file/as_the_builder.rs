//! A file is rejected exactly if the builder rejects its settings. Otherwise it means the same, and it can be
//! written and read again.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tower_breaker::{Backoff, CircuitBreakerBuilder, Config, HalfOpen, SlidingWindow};

use crate::{Circuits, default, settings};

/// The same settings twice: as a file, and as calls of the builder's methods.
#[derive(Debug, Clone)]
struct Twice {
    file: Map<String, Value>,
    builder: CircuitBreakerBuilder,
}

impl Twice {
    fn set<T>(
        mut self,
        setting: &str,
        value: Option<(Value, T)>,
        method: fn(CircuitBreakerBuilder, T) -> CircuitBreakerBuilder,
    ) -> Self {
        if let Some((in_file, value)) = value {
            self.file.insert(setting.into(), in_file);
            self.builder = method(self.builder, value);
        }
        self
    }
}

prop_compose! {
    /// Some of the settings, few of which are out of range.
    fn twice()(
        (streak, failures, failure_rate, slow_rate, slow_duration, no_rules, hung_after, slow_in_flight) in (
            option(count()), option(count()), option(rate()), option(rate()),
            option(duration()), prop::option::weighted(0.1, flag()), option(duration()),
            prop::option::weighted(0.2, flag()),
        ),
        (window, minimum, wait, half_open) in (
            option(window()), option(count()), option(backoff()), option(half_open()),
        ),
        (probe_timeout, abandoned_after, max_retry_after, trip, enforcement) in (
            option(duration()), option(duration()), option(duration()), option(flag()),
            option(number(0..=1000)),
        ),
    ) -> Twice {
        type Builder = CircuitBreakerBuilder;
        Twice { file: Map::new(), builder: default() }
            .set("consecutive_failures", streak, Builder::consecutive_failures)
            .set("failure_count_threshold", failures, Builder::failure_count_threshold)
            .set("failure_rate_threshold", failure_rate, Builder::failure_rate_threshold)
            .set("slow_call_rate_threshold", slow_rate, Builder::slow_call_rate_threshold)
            .set(
                "slow_call_duration_threshold",
                slow_duration,
                Builder::slow_call_duration_threshold,
            )
            .set("no_trip_rules", no_rules, |builder, no_rules| match no_rules {
                true => builder.no_trip_rules(),
                false => builder,
            })
            .set("sliding_window", window, Builder::sliding_window)
            .set("minimum_calls", minimum, Builder::minimum_calls)
            .set("open_duration", wait, Builder::open_duration)
            .set("half_open", half_open, Builder::half_open)
            .set("probe_timeout", probe_timeout, Builder::probe_timeout)
            .set("abandoned_after", abandoned_after, Builder::abandoned_after)
            .set("hung_after", hung_after, Builder::hung_after)
            .set("slow_in_flight", slow_in_flight, Builder::slow_in_flight)
            .set("max_retry_after", max_retry_after, Builder::max_retry_after)
            .set("trip_on_retry_after", trip, Builder::trip_on_retry_after)
            .set("enforcement", enforcement, Builder::enforcement)
    }
}

fn option<T: Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::of(value)
}

fn flag() -> impl Strategy<Value = (Value, bool)> {
    any::<bool>().prop_map(|set| (json!(set), set))
}

fn count() -> impl Strategy<Value = (Value, u32)> {
    prop_oneof![1 => Just(0), 20 => 1..=u32::MAX].prop_map(|n| (json!(n), n))
}

/// A number in thousandths, because serde_json does not read longer decimals exactly. Now and then it is out of
/// range.
fn number(usual: RangeInclusive<u32>) -> impl Strategy<Value = (Value, f64)> {
    let wrong = prop::sample::select(vec![-0.5, 0.0, 1.001, 50.0]);
    let usual = usual.prop_map(|n| f64::from(n) / 1000.0);
    prop_oneof![1 => wrong, 20 => usual].prop_map(|x| (json!(x), x))
}

fn rate() -> impl Strategy<Value = (Value, f64)> {
    number(1..=1000)
}

fn duration() -> impl Strategy<Value = (Value, Duration)> {
    let nanos = prop_oneof![1 => Just(0), 20 => 1..=u64::MAX];
    nanos.prop_map(Duration::from_nanos).prop_map(|d| (human(d), d))
}

fn human(d: Duration) -> Value {
    json!(humantime::format_duration(d).to_string())
}

fn window() -> impl Strategy<Value = (Value, SlidingWindow)> {
    let buckets = || prop::option::weighted(0.2, count());
    let by_count = (count(), prop::option::weighted(0.05, count()))
        .prop_map(|((json, n), buckets)| ("calls", json, SlidingWindow::count(n), buckets));
    let by_time = (duration(), buckets())
        .prop_map(|((json, d), buckets)| ("time", json, SlidingWindow::time(d), buckets));
    prop_oneof![by_count, by_time].prop_map(|(extent, json, window, buckets)| match buckets {
        Some((n, buckets)) => (json!({ extent: json, "buckets": n }), window.buckets(buckets)),
        None => (json!({ extent: json }), window),
    })
}

fn backoff() -> impl Strategy<Value = (Value, Backoff)> {
    let constant = duration().prop_map(|(json, d)| (json, Backoff::constant(d)));
    let (factor, forget_after) = (option(number(1000..=9000)), option(duration()));
    let table = (duration(), duration(), factor, option(rate()), forget_after).prop_map(
        |((initial_json, initial), (max_json, max), factor, jitter, forget_after)| {
            let mut table = json!({ "initial": initial_json, "max": max_json });
            let mut backoff = Backoff::exponential(initial, max);
            if let Some((json, factor)) = factor {
                table["factor"] = json;
                backoff = backoff.factor(factor);
            }
            if let Some((json, jitter)) = jitter {
                table["jitter"] = json;
                backoff = backoff.jitter(jitter);
            }
            if let Some((json, closed)) = forget_after {
                table["forget_after"] = json;
                backoff = backoff.forget_after(closed);
            }
            (table, backoff)
        },
    );
    prop_oneof![constant, table]
}

fn half_open() -> impl Strategy<Value = (Value, HalfOpen)> {
    let successes = count().prop_map(|(json, n)| {
        (json!({ "consecutive_successes": json }), HalfOpen::consecutive_successes(n))
    });
    let sample = count().prop_map(|(json, n)| (json!({ "sample": json }), HalfOpen::sample(n)));
    prop_oneof![successes, sample]
}

proptest! {
    #[test]
    fn a_file_in_any_format_is_rejected_exactly_if_the_builder_rejects_it_and_else_means_the_same(
        twice in twice(),
    ) {
        let Twice { file, builder } = twice;
        let by_builder = builder.clone().build();
        let circuits = json!({ "test": file });
        let by_file = [
            toml::from_str::<Circuits>(&toml::to_string(&circuits).unwrap())
                .map_err(|error| error.to_string()),
            serde_norway::from_str::<Circuits>(&serde_norway::to_string(&circuits).unwrap())
                .map_err(|error| error.to_string()),
            serde_json::from_str::<Circuits>(&circuits.to_string())
                .map_err(|error| error.to_string()),
        ];
        for read in by_file {
            match (&read, &by_builder) {
                (Ok(read), Ok(_)) => {
                    prop_assert_eq!(settings(&read["test"].builder("test")), settings(&builder));
                }
                (Err(message), Err(_)) => prop_assert!(message.contains("allowed: "), "{}", message),
                _ => prop_assert!(false, "file: {:?}, builder: {:?}", read, by_builder),
            }
        }
    }

    #[test]
    fn settings_that_are_written_in_any_format_read_back_as_equal(twice in twice()) {
        let Ok(config) = serde_json::from_value::<Config>(Value::Object(twice.file)) else {
            return Ok(());
        };
        let circuits = Circuits::from([("test".to_owned(), config)]);
        let toml: Circuits = toml::from_str(&toml::to_string(&circuits).unwrap()).unwrap();
        prop_assert_eq!(&toml, &circuits);
        let yaml = serde_norway::to_string(&circuits).unwrap();
        prop_assert_eq!(&serde_norway::from_str::<Circuits>(&yaml).unwrap(), &circuits);
        let json = serde_json::to_string(&circuits).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Circuits>(&json).unwrap(), &circuits);
    }
}
