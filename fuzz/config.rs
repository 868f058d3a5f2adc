//! Reads any text as a settings file, in three formats. Nothing panics and every error has a message. A file is
//! accepted exactly if the builder accepts its settings. Then it means the same, and reads back as equal after it
//! has been written.
#![no_main]

use std::fmt::Display;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tower_breaker::{
    Backoff, CircuitBreaker, CircuitBreakerBuilder, Config, HalfOpen, SlidingWindow,
};

fuzz_target!(|text: &str| {
    check(toml::from_str::<Config>(text), toml::from_str(text).ok());
    check(serde_json::from_str::<Config>(text), serde_json::from_str(text).ok());
    check(serde_norway::from_str::<Config>(text), serde_norway::from_str(text).ok());
});

/// Checks what was read from a file. `value` is the same file as plain data.
fn check<E: Display>(config: Result<Config, E>, value: Option<Value>) {
    let config = config.map_err(|error| error.to_string());
    match &config {
        Ok(config) => {
            drop(config.build("fuzz").expect("settings that were read have been checked"));
            let written = toml::to_string(config).expect("settings can be written");
            assert_eq!(&toml::from_str::<Config>(&written).expect(&written), config);
        }
        Err(message) => assert!(!message.trim().is_empty()),
    }
    // A file whose values do not even have the right types says nothing about the checks.
    let Some(unchecked) = value.and_then(Unchecked::read) else { return };
    let Some(builder) = unchecked.builder() else { return };
    match (config, builder.clone().build()) {
        (Ok(config), Ok(_)) => {
            assert_eq!(format!("{:?}", config.builder("fuzz")), format!("{builder:?}"));
        }
        (Err(_), Err(_)) => {}
        (config, built) => panic!("file: {config:?}\nbuilder: {built:?}"),
    }
}

/// A file whose values have the right types, but have not been checked.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Unchecked {
    #[serde(deserialize_with = "present")]
    consecutive_failures: Option<u32>,
    #[serde(deserialize_with = "present")]
    failure_count_threshold: Option<u32>,
    #[serde(deserialize_with = "present")]
    no_trip_rules: Option<bool>,
    #[serde(deserialize_with = "present")]
    failure_rate_threshold: Option<f64>,
    #[serde(deserialize_with = "present")]
    slow_call_rate_threshold: Option<f64>,
    #[serde(deserialize_with = "present")]
    slow_call_duration_threshold: Option<String>,
    #[serde(deserialize_with = "present")]
    sliding_window: Option<Window>,
    #[serde(deserialize_with = "present")]
    minimum_calls: Option<u32>,
    #[serde(deserialize_with = "present")]
    open_duration: Option<Wait>,
    #[serde(deserialize_with = "present")]
    half_open: Option<Probes>,
    #[serde(deserialize_with = "present")]
    probe_timeout: Option<String>,
    #[serde(deserialize_with = "present")]
    abandoned_after: Option<String>,
    #[serde(deserialize_with = "present")]
    max_retry_after: Option<String>,
    #[serde(deserialize_with = "present")]
    trip_on_retry_after: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Window {
    #[serde(deserialize_with = "present")]
    calls: Option<u32>,
    #[serde(deserialize_with = "present")]
    time: Option<String>,
    #[serde(deserialize_with = "present")]
    buckets: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Wait {
    Constant(String),
    Growing(Growing),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Growing {
    #[serde(deserialize_with = "present")]
    initial: Option<String>,
    #[serde(deserialize_with = "present")]
    max: Option<String>,
    #[serde(deserialize_with = "present")]
    factor: Option<f64>,
    #[serde(deserialize_with = "present")]
    jitter: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Probes {
    #[serde(deserialize_with = "present")]
    consecutive_successes: Option<u32>,
    #[serde(deserialize_with = "present")]
    sample: Option<u32>,
}

/// `null` is not a value.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

impl Unchecked {
    /// Reads the settings from tables only. Serde would also read a struct from a list.
    fn read(value: Value) -> Option<Self> {
        let tables = ["sliding_window", "open_duration", "half_open"];
        let has_list = |table: &Value| tables.iter().any(|name| table[name].is_array());
        (value.is_object() && !has_list(&value)).then(|| serde_json::from_value(value).ok())?
    }

    /// Returns `None` if the methods of the builder cannot express the settings.
    fn builder(&self) -> Option<CircuitBreakerBuilder> {
        type Builder = CircuitBreakerBuilder;
        let builder = CircuitBreaker::builder("fuzz");
        let builder = set(builder, self.consecutive_failures, Builder::consecutive_failures);
        let builder = set(builder, self.failure_count_threshold, Builder::failure_count_threshold);
        let builder = set(builder, self.no_trip_rules, |builder, no_rules| {
            if no_rules { builder.no_trip_rules() } else { builder }
        });
        let builder = set(builder, self.failure_rate_threshold, Builder::failure_rate_threshold);
        let builder =
            set(builder, self.slow_call_rate_threshold, Builder::slow_call_rate_threshold);
        let slow = duration(&self.slow_call_duration_threshold)?;
        let builder = set(builder, slow, Builder::slow_call_duration_threshold);
        let builder = set(builder, self.minimum_calls, Builder::minimum_calls);
        let probe_timeout = duration(&self.probe_timeout)?;
        let builder = set(builder, probe_timeout, Builder::probe_timeout);
        let abandoned_after = duration(&self.abandoned_after)?;
        let builder = set(builder, abandoned_after, Builder::abandoned_after);
        let max_retry_after = duration(&self.max_retry_after)?;
        let builder = set(builder, max_retry_after, Builder::max_retry_after);
        let builder = set(builder, self.trip_on_retry_after, Builder::trip_on_retry_after);
        let window = self.sliding_window.as_ref().map(Window::build);
        let builder = set(builder, all(window)?, Builder::sliding_window);
        let wait = self.open_duration.as_ref().map(Wait::build);
        let builder =
            set(builder, all(wait)?, |builder, wait: Backoff| builder.open_duration(wait));
        let probes = self.half_open.as_ref().map(Probes::build);
        Some(set(builder, all(probes)?, Builder::half_open))
    }
}

fn set<T>(
    builder: CircuitBreakerBuilder,
    value: Option<T>,
    method: fn(CircuitBreakerBuilder, T) -> CircuitBreakerBuilder,
) -> CircuitBreakerBuilder {
    match value {
        Some(value) => method(builder, value),
        None => builder,
    }
}

fn duration(text: &Option<String>) -> Option<Option<Duration>> {
    all(text.as_deref().map(|text| humantime::parse_duration(text).ok()))
}

/// A value that is present must be possible.
fn all<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    value.map_or(Some(None), |value| value.map(Some))
}

impl Window {
    fn build(&self) -> Option<SlidingWindow> {
        let window = match (self.calls, duration(&self.time)?) {
            (Some(n), None) => SlidingWindow::count(n),
            (None, Some(length)) => SlidingWindow::time(length),
            _ => return None,
        };
        Some(self.buckets.map_or(window, |n| window.buckets(n)))
    }
}

impl Wait {
    fn build(&self) -> Option<Backoff> {
        let Growing { initial, max, factor, jitter } = match self {
            Self::Constant(text) => {
                return humantime::parse_duration(text).ok().map(Backoff::constant);
            }
            Self::Growing(growing) => growing,
        };
        let mut backoff = Backoff::exponential(duration(initial)??, duration(max)??);
        if let Some(factor) = factor {
            backoff = backoff.factor(*factor);
        }
        if let Some(jitter) = jitter {
            backoff = backoff.jitter(*jitter);
        }
        Some(backoff)
    }
}

impl Probes {
    fn build(&self) -> Option<HalfOpen> {
        match (self.consecutive_successes, self.sample) {
            (Some(n), None) => Some(HalfOpen::consecutive_successes(n)),
            (None, Some(n)) => Some(HalfOpen::sample(n)),
            _ => None,
        }
    }
}
