//! Configuration: the builder, the validation of settings, and settings files.
//!
//! # What belongs here
//!
//! Everything that turns settings into the [`Rules`](crate::machine::Rules) that the machine goes by, and
//! the error for an invalid setting. This layer imports all layers above it in the list of `lib.rs`: it
//! builds a [`CircuitBreaker`](crate::CircuitBreaker).
//!
//! # Where to start reading
//!
//! [`CircuitBreakerBuilder`] has a method for each setting, and [`checks`] the ranges. With the feature
//! `serde`, [`file`](mod@file) reads the same settings from a file.

mod builder;
mod checks;
mod error;
#[cfg(feature = "serde")]
mod file;
mod live;
mod rules;
#[cfg(feature = "keyed")]
mod template;

pub use self::builder::CircuitBreakerBuilder;
#[cfg(feature = "keyed")]
pub(crate) use self::checks::{at_least_one, longer_than_zero};
pub use self::error::ConfigError;
#[cfg(feature = "serde")]
pub use self::file::Config;
#[cfg(feature = "admin")]
pub(crate) use self::file::force_duration;
#[cfg(feature = "keyed")]
pub(crate) use self::template::Template;
