//! [`ConfigError`].

use std::error::Error;
use std::fmt;

use crate::circuit::Escaped;

/// An invalid setting, returned by [`CircuitBreakerBuilder::build`].
///
/// The message names the setting, the value and what is allowed.
///
/// # Example
/// ```
/// let error = tower_breaker::CircuitBreaker::builder("payments")
///     .failure_rate_threshold(50.0)
///     .build()
///     .unwrap_err();
///
/// assert_eq!(
///     error.to_string(),
///     "invalid `failure_rate_threshold`: 50 (allowed: a rate greater than 0 and at most 1)"
/// );
/// ```
///
/// [`CircuitBreakerBuilder::build`]: crate::CircuitBreakerBuilder::build
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    value: String,
    allowed: &'static str,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, value: String, allowed: &'static str) -> Self {
        Self { setting, value, allowed }
    }

    /// Returns the name of the setting, which is the name of its builder method.
    #[must_use]
    pub fn setting(&self) -> &str {
        self.setting
    }

    /// Returns the invalid value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns a description of the values that are allowed.
    #[must_use]
    pub fn allowed(&self) -> &str {
        self.allowed
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value, allowed } = self;
        let value = Escaped(value);
        write!(f, "invalid `{setting}`: {value} (allowed: {allowed})")
    }
}

impl Error for ConfigError {}
