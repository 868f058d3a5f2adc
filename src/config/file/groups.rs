//! Settings that consist of several values.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::keys::EscapedKeys;
use super::readers;
use super::setting::Setting;
use super::table::Table;
use crate::config::checks::{at_least_one, backoff, sliding_window};
use crate::config::error::ConfigError;
use crate::machine::{Backoff, HalfOpen, SlidingWindow};

readers! {
    calls: u32, "sliding_window.calls", |_, n| sliding_window(&SlidingWindow::count(n));
    time: Duration, "sliding_window.time", |_, d| sliding_window(&SlidingWindow::time(d));
    buckets: u32, "sliding_window.buckets", |_, n| sliding_window(&SlidingWindow::default().buckets(n));

    initial: Duration, "open_duration.initial", |_, d| backoff(&Backoff::constant(d));
    max: Duration, "open_duration.max", |_, d| backoff(&Backoff::constant(d));
    factor: f64, "open_duration.factor", |_, x| backoff(&Backoff::default().factor(x));
    jitter: f64, "open_duration.jitter", |_, x| backoff(&Backoff::default().jitter(x));
    forget_after: Duration, "open_duration.forget_after", |_, _| Ok(());

    consecutive_successes: u32, "half_open.consecutive_successes",
        |_, n| at_least_one("half_open", n);
    sample: u32, "half_open.sample", |_, n| at_least_one("half_open", n);
    ramp: Duration, "half_open.ramp", |_, _| Ok(());
}

/// Requires the feature `serde`. Reads `{ calls = 100 }`, `{ time = "30s" }` or
/// `{ time = "30s", buckets = 10 }`.
impl<'de> Deserialize<'de> for SlidingWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table {
            expected: "a table with `calls` or `time` for `sliding_window`",
            make: WindowFields::window,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowFields {
    #[serde(default, deserialize_with = "calls")]
    calls: Option<u32>,
    #[serde(default, deserialize_with = "time")]
    time: Option<Duration>,
    #[serde(default, deserialize_with = "buckets")]
    buckets: Option<u32>,
}

impl WindowFields {
    fn window(self) -> Result<SlidingWindow, ConfigError> {
        let wrong = |value: &str| {
            Err(ConfigError::new("sliding_window", value.into(), "either `calls` or `time`"))
        };
        let mut window = match (self.calls, self.time) {
            (Some(n), None) => SlidingWindow::count(n),
            (None, Some(length)) => SlidingWindow::time(length),
            (Some(_), Some(_)) => return wrong("both `calls` and `time`"),
            (None, None) => return wrong("neither `calls` nor `time`"),
        };
        if let Some(n) = self.buckets {
            window = window.buckets(n);
        }
        sliding_window(&window).map(|()| window)
    }
}

/// Requires the feature `serde`. Reads a duration, which is a constant wait, or a table with `initial`,
/// `max` and optionally `factor` (2.0 if absent) and `jitter` (0.1 if absent).
impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BackoffVisitor)
    }
}

struct BackoffVisitor;

impl BackoffVisitor {
    const WAIT: Setting<Duration> =
        Setting { name: "open_duration", check: |_, d| backoff(&Backoff::constant(d)) };
}

impl<'de> Visitor<'de> for BackoffVisitor {
    type Value = Backoff;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a duration such as \"5s\", or a table with `initial` and `max`, for `open_duration`",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Backoff, E> {
        Self::WAIT.visit_str(text).map(Backoff::constant)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Backoff, A::Error> {
        let fields = BackoffFields::deserialize(MapAccessDeserializer::new(EscapedKeys(map)))?;
        fields.backoff().map_err(A::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackoffFields {
    #[serde(default, deserialize_with = "initial")]
    initial: Option<Duration>,
    #[serde(default, deserialize_with = "max")]
    max: Option<Duration>,
    #[serde(default, deserialize_with = "factor")]
    factor: Option<f64>,
    #[serde(default, deserialize_with = "jitter")]
    jitter: Option<f64>,
    #[serde(default, deserialize_with = "forget_after")]
    forget_after: Option<Duration>,
}

impl BackoffFields {
    fn backoff(self) -> Result<Backoff, ConfigError> {
        let (Some(initial), Some(max)) = (self.initial, self.max) else {
            return Err(ConfigError::new(
                "open_duration",
                format!(
                    "a table without `{}`",
                    if self.initial.is_some() { "max" } else { "initial" }
                ),
                "a duration, or a table with `initial` and `max`",
            ));
        };
        let mut wait = Backoff::exponential(initial, max);
        if let Some(factor) = self.factor {
            wait = wait.factor(factor);
        }
        if let Some(jitter) = self.jitter {
            wait = wait.jitter(jitter);
        }
        if let Some(closed) = self.forget_after {
            wait = wait.forget_after(closed);
        }
        backoff(&wait).map(|()| wait)
    }
}

/// Requires the feature `serde`. Reads `{ consecutive_successes = 3 }` or `{ sample = 10 }`, both
/// also with `ramp = "30s"`.
impl<'de> Deserialize<'de> for HalfOpen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table {
            expected: "a table with `consecutive_successes` or `sample` for `half_open`",
            make: HalfOpenFields::half_open,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HalfOpenFields {
    #[serde(default, deserialize_with = "consecutive_successes")]
    consecutive_successes: Option<u32>,
    #[serde(default, deserialize_with = "sample")]
    sample: Option<u32>,
    #[serde(default, deserialize_with = "ramp")]
    ramp: Option<Duration>,
}

impl HalfOpenFields {
    fn half_open(self) -> Result<HalfOpen, ConfigError> {
        let wrong = |value: &str| {
            let allowed = "either `consecutive_successes` or `sample`";
            Err(ConfigError::new("half_open", value.into(), allowed))
        };
        let probes = match (self.consecutive_successes, self.sample) {
            (Some(n), None) => HalfOpen::consecutive_successes(n),
            (None, Some(n)) => HalfOpen::sample(n),
            (Some(_), Some(_)) => return wrong("both `consecutive_successes` and `sample`"),
            (None, None) => return wrong("neither `consecutive_successes` nor `sample`"),
        };
        Ok(probes.ramp(self.ramp.unwrap_or_default()))
    }
}
