//! Validation of single settings: each function returns an error if a setting is out of range.

use std::time::Duration;

use super::error::ConfigError;
use crate::machine::{Backoff, Extent, SlidingWindow};

pub(crate) fn at_least_one(
    setting: &'static str,
    n: impl Into<Option<u32>>,
) -> Result<(), ConfigError> {
    match n.into() {
        Some(0) => Err(ConfigError::new(setting, "0".into(), "at least 1")),
        _ => Ok(()),
    }
}

pub(crate) fn longer_than_zero(
    setting: &'static str,
    d: impl Into<Option<Duration>>,
) -> Result<(), ConfigError> {
    match d.into() {
        Some(Duration::ZERO) => {
            Err(ConfigError::new(setting, "0ns".into(), "a duration longer than zero"))
        }
        _ => Ok(()),
    }
}

pub(crate) fn rate(setting: &'static str, rate: impl Into<Option<f64>>) -> Result<(), ConfigError> {
    match rate.into() {
        // Written so that NaN, which is not greater than 0, is an error too.
        Some(rate) if !(rate > 0.0 && rate <= 1.0) => {
            Err(ConfigError::new(setting, rate.to_string(), "a rate greater than 0 and at most 1"))
        }
        _ => Ok(()),
    }
}

/// A share, which may be zero.
pub(crate) fn share(
    setting: &'static str,
    share: impl Into<Option<f64>>,
) -> Result<(), ConfigError> {
    match share.into() {
        Some(share) if !(0.0..=1.0).contains(&share) => {
            Err(ConfigError::new(setting, share.to_string(), "a share from 0.0 to 1.0"))
        }
        _ => Ok(()),
    }
}

pub(crate) fn backoff(backoff: &Backoff) -> Result<(), ConfigError> {
    let Backoff { initial, max, factor, jitter, .. } = *backoff;
    let wrong = |value, allowed| Err(ConfigError::new("open_duration", value, allowed));
    if initial.is_zero() {
        return wrong(format!("{initial:?}"), "a wait longer than zero");
    }
    if max < initial {
        return wrong(
            format!("a maximum of {max:?} with an initial wait of {initial:?}"),
            "a maximum not shorter than the initial wait",
        );
    }
    if !(factor >= 1.0 && factor.is_finite()) {
        return wrong(format!("a factor of {factor}"), "a finite factor of at least 1");
    }
    if !(0.0..=1.0).contains(&jitter) {
        return wrong(format!("a jitter of {jitter}"), "a jitter from 0.0 to 1.0");
    }
    Ok(())
}

pub(crate) fn sliding_window(window: &SlidingWindow) -> Result<(), ConfigError> {
    let wrong = |value, allowed| Err(ConfigError::new("sliding_window", value, allowed));
    match (window.extent, window.buckets) {
        (Extent::Calls(0), _) => wrong("0 calls".into(), "at least 1 call"),
        (Extent::Calls(_), Some(n)) => {
            wrong(format!("a count window with {n} buckets"), "buckets on time windows only")
        }
        (Extent::Time(Duration::ZERO), _) => {
            wrong("a length of 0ns".into(), "a length longer than zero")
        }
        (Extent::Time(_), Some(0)) => wrong("0 buckets".into(), "at least 1 bucket"),
        _ => Ok(()),
    }
}
