//! [`Config`]: settings from a file.

mod current;
mod groups;
mod keys;
mod saved;
mod setting;
mod table;
mod write;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use self::setting::Setting;
use self::table::Table;
use self::write::as_text;
use super::builder::CircuitBreakerBuilder;
use super::checks::{at_least_one, longer_than_zero, rate, share};
use super::error::ConfigError;
use crate::breaker::CircuitBreaker;
use crate::machine::{Backoff, HalfOpen, Reconfigured, SlidingWindow};

/// The settings of a [`CircuitBreaker`], read from a file: TOML, YAML, JSON, or any other format that serde
/// supports. Requires the feature `serde`.
///
/// | setting | value | example in TOML |
/// |---|---|---|
/// | `consecutive_failures` | a whole number, at least 1 | `5` |
/// | `failure_count_threshold` | a whole number, at least 1, and at most the length of a count window | `10` |
/// | `failure_rate_threshold` | greater than 0 and at most 1 | `0.5` |
/// | `slow_call_rate_threshold` | greater than 0 and at most 1; needs `slow_call_duration_threshold` | `0.8` |
/// | `slow_call_duration_threshold` | a duration longer than zero | `"2s"` |
/// | `no_trip_rules` | `true`, without a trip rule, or `false` | `true` |
/// | `sliding_window` | `calls`, a whole number, at least 1 | `{ calls = 100 }` |
/// | | or `time`, a duration longer than zero, and optionally `buckets`, at least 1 | `{ time = "30s", buckets = 10 }` |
/// | `minimum_calls` | a whole number, at least 1 | `20` |
/// | `open_duration` | a duration longer than zero: each wait | `"5s"` |
/// | | or `initial`, a duration longer than zero, and `max`, a duration not shorter than `initial`, and optionally `factor`, at least 1, `jitter`, from 0.0 to 1.0, and `forget_after`, a duration | `{ initial = "1s", max = "60s", factor = 2.0, jitter = 0.1 }` |
/// | `half_open` | `consecutive_successes`, a whole number, at least 1, and optionally `ramp`, a duration | `{ consecutive_successes = 3, ramp = "30s" }` |
/// | | or `sample`, a whole number, at least 1, and optionally `ramp`; needs a rate threshold, unless no trip rule is set | `{ sample = 10 }` |
/// | `probe_timeout` | a duration longer than zero | `"30s"` |
/// | `abandoned_after` | a duration longer than zero | `"900ms"` |
/// | `hung_after` | a duration longer than zero | `"2s"` |
/// | `slow_in_flight` | `true`, together with a slow-call duration, or `false` | `true` |
/// | `max_retry_after` | a duration longer than zero | `"5m"` |
/// | `trip_on_retry_after` | `true` or `false` | `true` |
/// | `enforcement` | from 0.0 to 1.0 | `0.25` |
///
/// Each setting has the name, the meaning and the range of a method of [`CircuitBreakerBuilder`]. A setting
/// that is absent has its [default](CircuitBreakerBuilder). An unknown setting is an error.
///
/// A duration is a string of numbers with units, such as `"30s"`, `"1m 30s"` or `"250ms"`. It is parsed by
/// [`humantime::parse_duration`], so `m` means minutes and `M` means months.
///
/// A `Config` can also be written. What is written contains the settings that are present, and reads back as an
/// equal `Config`. (In JSON, that requires the feature `float_roundtrip` of `serde_json` for rates with many
/// digits.)
///
/// # Errors
/// Settings that [`CircuitBreakerBuilder::build`] would reject are rejected when the file is read. The error
/// then also names the position in the file: that of the value or, if two settings do not go together, that
/// of their table. Inside `#[serde(flatten)]` or an untagged enum, serde does not know the position.
///
/// ```text
/// TOML parse error at line 4, column 26
///   |
/// 4 | failure_rate_threshold = 50
///   |                          ^^
/// invalid `failure_rate_threshold`: 50 (allowed: a rate greater than 0 and at most 1)
/// ```
///
/// # Example
/// ```
/// use std::collections::HashMap;
/// use tower_breaker::{CircuitBreaker, Config, ConfigError};
///
/// let file = r#"
///     [payments]
///     failure_rate_threshold = 0.3
///     open_duration = { initial = "1s", max = "1m 30s" }
///
///     [search] # the defaults
/// "#;
/// let configs: HashMap<String, Config> = toml::from_str(file)?;
/// let breakers = configs.iter().map(|(name, config)| Ok((name, config.build(name.as_str())?)));
/// let breakers: HashMap<_, CircuitBreaker> = breakers.collect::<Result<_, ConfigError>>()?;
/// # assert_eq!(breakers.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config(Fields);

impl Config {
    /// Returns a builder with these settings. Use it to add listeners, or settings that are decided in
    /// code.
    pub fn builder(&self, name: impl Into<Arc<str>>) -> CircuitBreakerBuilder {
        self.0.builder(name.into())
    }

    /// Returns these settings, with those of `base` for the settings that are absent.
    ///
    /// The trip rules add up: a rule that is only in `base` stays on. To switch the rules of `base` off, set
    /// `no_trip_rules`. Conversely, a trip rule replaces `no_trip_rules` of `base`.
    ///
    /// # Example
    /// ```
    /// use std::collections::HashMap;
    /// use tower_breaker::Config;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Circuits {
    ///     defaults: Config,
    ///     #[serde(flatten)]
    ///     by_name: HashMap<String, Config>,
    /// }
    ///
    /// let file = r#"
    ///     [defaults]
    ///     failure_rate_threshold = 0.3
    ///     probe_timeout = "10s"
    ///
    ///     [payments]
    ///     failure_rate_threshold = 0.1
    /// "#;
    /// let circuits: Circuits = toml::from_str(file)?;
    /// let payments = circuits.by_name["payments"].with_defaults(&circuits.defaults);
    ///
    /// let same = "failure_rate_threshold = 0.1\nprobe_timeout = '10s'";
    /// assert_eq!(payments, toml::from_str(same)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_defaults(&self, base: &Self) -> Self {
        Self(self.0.over(base.0))
    }

    /// Builds a breaker with these settings.
    ///
    /// # Errors
    /// Settings that were read from a file have been checked already, so this does not fail for them. It
    /// fails if settings that were combined by [`with_defaults`](Self::with_defaults) do not go together.
    pub fn build(&self, name: impl Into<Arc<str>>) -> Result<CircuitBreaker, ConfigError> {
        self.builder(name).build()
    }

    /// Changes the settings of a breaker to these, as [`CircuitBreaker::reconfigure`] does. A setting that is absent
    /// gets its default, but the share of rejections that are enforced stays as it is if `enforcement` is absent.
    ///
    /// The [guide](crate::docs::introducing#settings-from-a-file) shows how to follow a file.
    ///
    /// # Errors
    /// The same as [`build`](Self::build). All settings stay as they were.
    ///
    /// # Example
    /// ```
    /// use tower_breaker::{Config, Reconfigured};
    ///
    /// let config: Config = toml::from_str("consecutive_failures = 5")?;
    /// let breaker = config.build("payments")?;
    ///
    /// let changed: Config = toml::from_str("consecutive_failures = 3")?;
    /// assert_eq!(changed.reconfigure(&breaker)?, Reconfigured::WindowKept);
    /// assert_eq!(changed.reconfigure(&breaker)?, Reconfigured::Unchanged);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconfigure(&self, breaker: &CircuitBreaker) -> Result<Reconfigured, ConfigError> {
        breaker.reconfigure(self.builder(""))
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table {
            expected: "a table of a circuit breaker's settings",
            make: |fields: Fields| fields.builder("".into()).rules().map(|_| Self(fields)),
        })
    }
}

/// The settings that the file contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    #[serde(deserialize_with = "consecutive_failures", skip_serializing_if = "Option::is_none")]
    consecutive_failures: Option<u32>,
    #[serde(deserialize_with = "failure_count_threshold", skip_serializing_if = "Option::is_none")]
    failure_count_threshold: Option<u32>,
    #[serde(deserialize_with = "failure_rate_threshold", skip_serializing_if = "Option::is_none")]
    failure_rate_threshold: Option<f64>,
    #[serde(
        deserialize_with = "slow_call_rate_threshold",
        skip_serializing_if = "Option::is_none"
    )]
    slow_call_rate_threshold: Option<f64>,
    #[serde(
        deserialize_with = "slow_call_duration_threshold",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    slow_call_duration_threshold: Option<Duration>,
    #[serde(deserialize_with = "no_trip_rules", skip_serializing_if = "Option::is_none")]
    no_trip_rules: Option<bool>,
    #[serde(deserialize_with = "group", skip_serializing_if = "Option::is_none")]
    sliding_window: Option<SlidingWindow>,
    #[serde(deserialize_with = "minimum_calls", skip_serializing_if = "Option::is_none")]
    minimum_calls: Option<u32>,
    #[serde(deserialize_with = "group", skip_serializing_if = "Option::is_none")]
    open_duration: Option<Backoff>,
    #[serde(deserialize_with = "group", skip_serializing_if = "Option::is_none")]
    half_open: Option<HalfOpen>,
    #[serde(
        deserialize_with = "probe_timeout",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    probe_timeout: Option<Duration>,
    #[serde(
        deserialize_with = "abandoned_after",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    abandoned_after: Option<Duration>,
    #[serde(
        deserialize_with = "hung_after",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    hung_after: Option<Duration>,
    #[serde(deserialize_with = "slow_in_flight", skip_serializing_if = "Option::is_none")]
    slow_in_flight: Option<bool>,
    #[serde(
        deserialize_with = "max_retry_after",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    max_retry_after: Option<Duration>,
    #[serde(deserialize_with = "trip_on_retry_after", skip_serializing_if = "Option::is_none")]
    trip_on_retry_after: Option<bool>,
    #[serde(deserialize_with = "enforcement", skip_serializing_if = "Option::is_none")]
    enforcement: Option<f64>,
}

impl Fields {
    fn over(self, base: Self) -> Self {
        let base = match self.no_trip_rules {
            Some(true) => Self {
                consecutive_failures: None,
                failure_count_threshold: None,
                failure_rate_threshold: None,
                slow_call_rate_threshold: None,
                ..base
            },
            None if self.has_trip_rule() => Self { no_trip_rules: None, ..base },
            _ => base,
        };
        macro_rules! over {
            ($($setting:ident)*) => { Self {$( $setting: self.$setting.or(base.$setting), )*} };
        }
        over! {
            consecutive_failures failure_count_threshold failure_rate_threshold
            slow_call_rate_threshold slow_call_duration_threshold no_trip_rules
            sliding_window minimum_calls
            open_duration half_open
            probe_timeout abandoned_after hung_after slow_in_flight max_retry_after
            trip_on_retry_after
            enforcement
        }
    }

    fn has_trip_rule(&self) -> bool {
        self.consecutive_failures.is_some()
            || self.failure_count_threshold.is_some()
            || self.failure_rate_threshold.is_some()
            || self.slow_call_rate_threshold.is_some()
    }

    fn builder(&self, name: Arc<str>) -> CircuitBreakerBuilder {
        let mut builder = CircuitBreaker::builder(name);
        macro_rules! set {
            ($($setting:ident)*) => {$(
                if let Some(value) = self.$setting {
                    builder = builder.$setting(value);
                }
            )*};
        }
        set! {
            consecutive_failures failure_count_threshold failure_rate_threshold
            slow_call_rate_threshold slow_call_duration_threshold
            sliding_window minimum_calls
            open_duration half_open
            probe_timeout abandoned_after hung_after slow_in_flight max_retry_after
            trip_on_retry_after
            enforcement
        }
        if self.no_trip_rules == Some(true) {
            builder = builder.no_trip_rules();
        }
        builder
    }
}

/// Defines a function for each value that serde calls to read it. A line lists the name of the function, the
/// type of the value, its name in errors, and the check.
macro_rules! readers {
    ($($field:ident: $type:ty, $name:expr, $check:expr;)*) => {$(
        fn $field<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$type>, D::Error> {
            Setting { name: $name, check: $check }.read(deserializer).map(Some)
        }
    )*};
}
use readers;

readers! {
    consecutive_failures: u32, "consecutive_failures", at_least_one;
    failure_count_threshold: u32, "failure_count_threshold", at_least_one;
    failure_rate_threshold: f64, "failure_rate_threshold", rate;
    no_trip_rules: bool, "no_trip_rules", |_, _| Ok(());
    slow_call_rate_threshold: f64, "slow_call_rate_threshold", rate;
    slow_call_duration_threshold: Duration, "slow_call_duration_threshold", longer_than_zero;
    minimum_calls: u32, "minimum_calls", at_least_one;
    probe_timeout: Duration, "probe_timeout", longer_than_zero;
    abandoned_after: Duration, "abandoned_after", longer_than_zero;
    hung_after: Duration, "hung_after", longer_than_zero;
    slow_in_flight: bool, "slow_in_flight", |_, _| Ok(());
    max_retry_after: Duration, "max_retry_after", longer_than_zero;
    trip_on_retry_after: bool, "trip_on_retry_after", |_, _| Ok(());
    enforcement: f64, "enforcement", share;
}

/// Reads how long an operator forces a circuit. This is no setting, but is written and checked like one.
#[cfg(feature = "admin")]
pub(crate) fn force_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    Setting { name: "for", check: longer_than_zero }.read(deserializer).map(Some)
}

/// Reads an optional value like serde does, except that `null` is an error.
fn group<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
