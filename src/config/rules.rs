//! From settings to the rules that the machine goes by.

use super::builder::CircuitBreakerBuilder;
use super::checks::{at_least_one, backoff, longer_than_zero, rate, share, sliding_window};
use super::error::ConfigError;
use crate::machine::{Extent, ProbeRule, Rules, nanos};

impl CircuitBreakerBuilder {
    /// Validates the settings and fills in the defaults.
    pub(crate) fn rules(&self) -> Result<Rules, ConfigError> {
        at_least_one("consecutive_failures", self.consecutive_failures)?;
        at_least_one("failure_count_threshold", self.failure_count)?;
        rate("failure_rate_threshold", self.failure_rate)?;
        rate("slow_call_rate_threshold", self.slow_call_rate)?;
        longer_than_zero("slow_call_duration_threshold", self.slow_call_duration)?;
        if let (Some(rate), None) = (self.slow_call_rate, self.slow_call_duration) {
            return Err(ConfigError::new(
                "slow_call_rate_threshold",
                format!("{rate} without a slow call duration"),
                "only together with `slow_call_duration_threshold`",
            ));
        }
        if self.slow_in_flight && self.slow_call_duration.is_none() {
            return Err(ConfigError::new(
                "slow_in_flight",
                "true without a slow call duration".into(),
                "only together with `slow_call_duration_threshold`",
            ));
        }
        sliding_window(&self.window)?;
        at_least_one("minimum_calls", self.minimum_calls)?;
        backoff(&self.open_duration)?;
        longer_than_zero("probe_timeout", self.probe_timeout)?;
        longer_than_zero("abandoned_after", self.abandoned_after)?;
        longer_than_zero("hung_after", self.hung_after)?;
        longer_than_zero("max_retry_after", self.max_retry_after)?;
        share("enforcement", self.enforcement)?;

        match (self.failure_count, self.window.extent) {
            (Some(n), Extent::Calls(calls)) if n > calls => {
                return Err(ConfigError::new(
                    "failure_count_threshold",
                    format!("{n} failures in a window of {calls} calls"),
                    "at most the length of the count window",
                ));
            }
            _ => {}
        }

        let (mut consecutive_failures, mut failure_rate) =
            (self.consecutive_failures, self.failure_rate);
        let has_rule = consecutive_failures.is_some()
            || self.failure_count.is_some()
            || failure_rate.is_some()
            || self.slow_call_rate.is_some();
        if self.no_trip_rules && has_rule {
            return Err(ConfigError::new(
                "no_trip_rules",
                "true together with a trip rule".into(),
                "no trip rule beside it",
            ));
        }
        if !has_rule && !self.no_trip_rules {
            consecutive_failures = Some(5);
            failure_rate = Some(0.5);
        }
        let judges_rates = failure_rate.is_some() || self.slow_call_rate.is_some();
        if let (ProbeRule::Sample(n), false) = (self.half_open.probes, judges_rates) {
            return Err(ConfigError::new(
                "half_open",
                format!("a sample of {n} without a rate rule"),
                "a sample together with `failure_rate_threshold` or `slow_call_rate_threshold`",
            ));
        }
        at_least_one("half_open", self.half_open.probes.probes())?;

        Ok(Rules {
            consecutive_failures: consecutive_failures.map(u64::from),
            failure_count: self.failure_count.map(u64::from),
            failure_rate,
            slow_call_rate: self.slow_call_rate,
            slow_call_duration: self.slow_call_duration.map(nanos),
            slow_in_flight: self.slow_in_flight,
            hung_after: self.hung_after.map(nanos),
            window: (judges_rates || self.failure_count.is_some())
                .then(|| self.window.with_buckets()),
            minimum_calls: self.window.minimum_calls(self.minimum_calls),
            open_duration: self.open_duration,
            half_open: self.half_open.probes,
            ramp: nanos(self.half_open.ramp),
            probe_timeout: nanos(self.probe_timeout),
            abandoned_after: self.abandoned_after.map(nanos),
            max_retry_after: nanos(self.max_retry_after),
            trip_on_retry_after: self.trip_on_retry_after,
            enforcement: self.enforcement.unwrap_or(1.0),
        })
    }
}
