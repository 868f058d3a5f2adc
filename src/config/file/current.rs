//! The settings of a breaker that works, in the form of a file.

use std::time::Duration;

use super::{Config, Fields};
use crate::breaker::CircuitBreaker;
use crate::machine::{HalfOpen, Nanos, Rules};

impl Config {
    /// Returns the present settings of a breaker, with all defaults filled in. A breaker that is
    /// [reconfigured](Self::reconfigure) with them stays as it is.
    ///
    /// # Example
    /// ```
    /// use tower_breaker::{CircuitBreaker, Config, Reconfigured};
    ///
    /// let breaker = CircuitBreaker::builder("payments").consecutive_failures(3).build()?;
    /// let settings = Config::of(&breaker);
    /// assert!(serde_json::to_string(&settings)?.starts_with(r#"{"consecutive_failures":3,"#));
    /// assert_eq!(settings.reconfigure(&breaker)?, Reconfigured::Unchanged);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(breaker: &CircuitBreaker) -> Self {
        Self(fields(&breaker.circuit().view().settings))
    }
}

fn fields(rules: &Rules) -> Fields {
    // The settings are given as `u32`, so these numbers fit.
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let time = |nanos: Nanos| Some(Duration::from_nanos(nanos));
    let mut fields = Fields {
        consecutive_failures: rules.consecutive_failures.map(number),
        failure_count_threshold: rules.failure_count.map(number),
        failure_rate_threshold: rules.failure_rate,
        slow_call_rate_threshold: rules.slow_call_rate,
        slow_call_duration_threshold: rules.slow_call_duration.and_then(time),
        no_trip_rules: None,
        sliding_window: rules.window,
        minimum_calls: Some(number(rules.minimum_calls)),
        open_duration: Some(rules.open_duration),
        half_open: Some(HalfOpen {
            probes: rules.half_open,
            ramp: Duration::from_nanos(rules.ramp),
        }),
        probe_timeout: time(rules.probe_timeout),
        abandoned_after: rules.abandoned_after.and_then(time),
        hung_after: rules.hung_after.and_then(time),
        slow_in_flight: rules.slow_in_flight.then_some(true),
        max_retry_after: time(rules.max_retry_after),
        trip_on_retry_after: Some(rules.trip_on_retry_after),
        enforcement: Some(rules.enforcement),
    };
    if !fields.has_trip_rule() {
        fields.no_trip_rules = Some(true);
    }
    fields
}
