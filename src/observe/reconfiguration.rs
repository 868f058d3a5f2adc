//! [`Reconfiguration`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::machine::{Backoff, Extent, Nanos, ProbeRule, Rules, SlidingWindow};

/// A change of the settings of a circuit, which [`EventKind::Reconfigured`](crate::EventKind::Reconfigured)
/// reports.
///
/// `Display` prints one line with all settings that have changed:
///
/// ```text
/// reconfigured (consecutive_failures 5 -> 3, open_duration 5s -> 1s to 60s, factor 2, jitter 0.1)
/// ```
///
/// # Example
/// ```
/// use tower_breaker::{CircuitBreaker, EventKind};
///
/// let breaker = CircuitBreaker::builder("payments")
///     .consecutive_failures(5)
///     .on_event(|event| {
///         if let EventKind::Reconfigured(reconfiguration) = event.kind() {
///             let changes = reconfiguration.changes();
///             assert_eq!(changes[0].to_string(), "consecutive_failures 5 -> 3");
///             assert_eq!(changes.len(), 1);
///         }
///     })
///     .build()?;
///
/// breaker.reconfigure(CircuitBreaker::builder("payments").consecutive_failures(3))?;
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Reconfiguration {
    from: Arc<Rules>,
    to: Arc<Rules>,
}

/// A setting that has changed. `Display` prints `probe_timeout 30s -> 10s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    setting: &'static str,
    from: String,
    to: String,
}

impl Reconfiguration {
    pub(super) fn new(from: Arc<Rules>, to: Arc<Rules>) -> Self {
        Self { from, to }
    }

    /// Returns the settings that have changed. There is at least one.
    #[must_use]
    pub fn changes(&self) -> Vec<SettingChange> {
        let changes = settings(&self.from).into_iter().zip(settings(&self.to));
        changes
            .filter(|(from, to)| from != to)
            .map(|((setting, from), (_, to))| SettingChange { setting, from, to })
            .collect()
    }
}

impl SettingChange {
    /// Returns the name of the setting, which is the name of its method in the
    /// [builder](crate::CircuitBreakerBuilder).
    #[must_use]
    pub fn setting(&self) -> &str {
        self.setting
    }

    /// Returns the value before, for people.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Returns the value now, for people.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.to
    }
}

impl fmt::Display for Reconfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: Vec<String> = self.changes().iter().map(SettingChange::to_string).collect();
        write!(f, "reconfigured ({})", changes.join(", "))
    }
}

impl fmt::Display for SettingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, from, to } = self;
        write!(f, "{setting} {from} -> {to}")
    }
}

/// Returns the name and the value of each setting, for people.
fn settings(rules: &Rules) -> [(&'static str, String); 16] {
    // All fields are listed, so that none is forgotten.
    let Rules {
        consecutive_failures,
        failure_count,
        failure_rate,
        slow_call_rate,
        slow_call_duration,
        slow_in_flight,
        hung_after,
        window,
        minimum_calls,
        open_duration,
        half_open,
        ramp,
        probe_timeout,
        abandoned_after,
        max_retry_after,
        trip_on_retry_after,
        enforcement,
    } = *rules;
    [
        ("consecutive_failures", or_none(consecutive_failures)),
        ("failure_count_threshold", or_none(failure_count)),
        ("failure_rate_threshold", or_none(failure_rate)),
        ("slow_call_rate_threshold", or_none(slow_call_rate)),
        ("slow_call_duration_threshold", or_none(slow_call_duration.map(Time))),
        ("sliding_window", or_none(window.map(WindowText))),
        ("minimum_calls", minimum_calls.to_string()),
        ("open_duration", BackoffText(open_duration).to_string()),
        ("half_open", HalfOpenText(half_open, ramp).to_string()),
        ("probe_timeout", Time(probe_timeout).to_string()),
        ("abandoned_after", or_none(abandoned_after.map(Time))),
        ("hung_after", or_none(hung_after.map(Time))),
        ("slow_in_flight", slow_in_flight.to_string()),
        ("max_retry_after", Time(max_retry_after).to_string()),
        ("trip_on_retry_after", trip_on_retry_after.to_string()),
        ("enforcement", enforcement.to_string()),
    ]
}

fn or_none(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "none".into(), |value| value.to_string())
}

struct Time(Nanos);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

struct WindowText(SlidingWindow);

impl fmt::Display for WindowText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.extent, self.0.buckets) {
            (Extent::Calls(n), _) => write!(f, "{n} calls"),
            (Extent::Time(length), None) => write!(f, "{length:?}"),
            (Extent::Time(length), Some(n)) => write!(f, "{length:?} in {n} buckets"),
        }
    }
}

struct BackoffText(Backoff);

impl fmt::Display for BackoffText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backoff { initial, max, factor, jitter, stretch, forget_after } = self.0;
        write!(f, "{initial:?}")?;
        if initial != max {
            write!(f, " to {max:?}, factor {factor}")?;
        }
        if jitter != 0.0 || stretch == 0.0 {
            write!(f, ", jitter {jitter}")?;
        }
        if !forget_after.is_zero() {
            write!(f, ", forget after {forget_after:?}")?;
        }
        Ok(())
    }
}

struct HalfOpenText(ProbeRule, Nanos);

impl fmt::Display for HalfOpenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ProbeRule::ConsecutiveSuccesses(1) => f.write_str("1 success")?,
            ProbeRule::ConsecutiveSuccesses(n) => write!(f, "{n} successes")?,
            ProbeRule::Sample(n) => write!(f, "sample of {n}")?,
        }
        if self.1 > 0 {
            write!(f, ", ramp over {}", Time(self.1))?;
        }
        Ok(())
    }
}
