//! Reading the value of one setting.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

use crate::config::error::ConfigError;

/// Reads a value and checks it at once. The format is still at the value then, so its error names the
/// position.
pub(super) struct Setting<T> {
    pub(super) name: &'static str,
    pub(super) check: fn(&'static str, T) -> Result<(), ConfigError>,
}

/// A type that the value of a setting can have.
pub(super) trait Value: Copy {
    const EXPECTED: &'static str;

    fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        setting: Setting<Self>,
    ) -> Result<Self, D::Error>;

    fn from(found: Unexpected<'_>) -> Option<Self>;
}

impl<T: Value> Setting<T> {
    pub(super) fn read<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer, self)
    }

    fn accept<E: Error>(self, found: Unexpected<'_>) -> Result<T, E> {
        let value = T::from(found).ok_or_else(|| E::invalid_value(found, &self))?;
        (self.check)(self.name, value).map_err(E::custom)?;
        Ok(value)
    }
}

impl<T: Value> Visitor<'_> for Setting<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for `{}`", T::EXPECTED, self.name)
    }

    fn visit_bool<E: Error>(self, found: bool) -> Result<T, E> {
        self.accept(Unexpected::Bool(found))
    }

    fn visit_i64<E: Error>(self, found: i64) -> Result<T, E> {
        self.accept(Unexpected::Signed(found))
    }

    fn visit_u64<E: Error>(self, found: u64) -> Result<T, E> {
        self.accept(Unexpected::Unsigned(found))
    }

    fn visit_f64<E: Error>(self, found: f64) -> Result<T, E> {
        self.accept(Unexpected::Float(found))
    }

    fn visit_str<E: Error>(self, found: &str) -> Result<T, E> {
        self.accept(Unexpected::Str(found))
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        setting: Setting<Self>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_bool(setting)
    }

    fn from(found: Unexpected<'_>) -> Option<Self> {
        match found {
            Unexpected::Bool(value) => Some(value),
            _ => None,
        }
    }
}

impl Value for u32 {
    const EXPECTED: &'static str = "a whole number up to 4294967295";

    fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        setting: Setting<Self>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_u32(setting)
    }

    fn from(found: Unexpected<'_>) -> Option<Self> {
        match found {
            Unexpected::Unsigned(n) => n.try_into().ok(),
            Unexpected::Signed(n) => n.try_into().ok(),
            _ => None,
        }
    }
}

impl Value for f64 {
    const EXPECTED: &'static str = "a number";

    fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        setting: Setting<Self>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(setting)
    }

    fn from(found: Unexpected<'_>) -> Option<Self> {
        match found {
            Unexpected::Float(x) => Some(x),
            Unexpected::Unsigned(n) => Some(n as f64),
            Unexpected::Signed(n) => Some(n as f64),
            _ => None,
        }
    }
}

impl Value for Duration {
    const EXPECTED: &'static str = "a duration with its unit, such as \"30s\" or \"1m 30s\",";

    fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        setting: Setting<Self>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_str(setting)
    }

    fn from(found: Unexpected<'_>) -> Option<Self> {
        match found {
            Unexpected::Str(text) => humantime::parse_duration(text).ok(),
            _ => None,
        }
    }
}
