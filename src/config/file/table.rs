//! Reading a table of settings.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Error, MapAccess, Visitor};

use super::keys::EscapedKeys;
use crate::config::error::ConfigError;

/// Reads `Fields` and turns them into a `T` at once. The format is still at the table then, so its error
/// names the position.
pub(super) struct Table<Fields, T> {
    pub(super) expected: &'static str,
    pub(super) make: fn(Fields) -> Result<T, ConfigError>,
}

impl<'de, Fields: Deserialize<'de>, T> Visitor<'de> for Table<Fields, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let fields = Fields::deserialize(MapAccessDeserializer::new(EscapedKeys(map)))?;
        (self.make)(fields).map_err(A::Error::custom)
    }
}
