//! A saved state, in the form of a file.

use std::time::Duration;

use serde::de::{Deserializer, Unexpected};
use serde::{Deserialize, Serialize, Serializer};

use super::setting::{Setting, Value};
use super::table::Table;
use super::write::as_text;
use crate::config::error::ConfigError;
use crate::machine::{Saved, State};

/// Requires the feature `serde`. Writes `{ "state": "open", "wait": "4s", "attempt": 2 }`.
impl Serialize for Saved {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let some = |d: Duration| Some(d).filter(|d| !d.is_zero());
        let Self { state, wait, attempt, age } = *self;
        let attempt = Some(attempt).filter(|n| *n > 0);
        Fields { state: Some(state), wait: some(wait), attempt, age: some(age) }
            .serialize(serializer)
    }
}

/// Requires the feature `serde`. Reads what is written.
impl<'de> Deserialize<'de> for Saved {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table {
            expected: "a saved state",
            make: |fields: Fields| fields.saved(),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default, deserialize_with = "state")]
    state: Option<State>,
    #[serde(
        default,
        deserialize_with = "wait",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    wait: Option<Duration>,
    #[serde(default, deserialize_with = "attempt", skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(
        default,
        deserialize_with = "age",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    age: Option<Duration>,
}

impl Fields {
    fn saved(self) -> Result<Saved, ConfigError> {
        let Some(state) = self.state else {
            return Err(ConfigError::new("state", "none".into(), State::EXPECTED));
        };
        let wait = self.wait.unwrap_or_default();
        if state != State::Open && !wait.is_zero() {
            let value = format!("{wait:?} while {state}");
            return Err(ConfigError::new("wait", value, "a wait only of an open circuit"));
        }
        let (attempt, age) = (self.attempt.unwrap_or(0), self.age.unwrap_or_default());
        Ok(Saved { state, wait, attempt, age })
    }
}

super::readers! {
    state: State, "state", |_, _| Ok(());
    wait: Duration, "wait", not_too_long;
    attempt: u32, "attempt", |_, _| Ok(());
    age: Duration, "age", |_, _| Ok(());
}

fn not_too_long(setting: &'static str, wait: Duration) -> Result<(), ConfigError> {
    if wait <= Saved::LONGEST_WAIT {
        return Ok(());
    }
    Err(ConfigError::new(setting, format!("{wait:?}"), "at most 365 days"))
}

impl Value for State {
    const EXPECTED: &'static str = "`closed`, `open` or `half_open`";

    fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        setting: Setting<Self>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_str(setting)
    }

    fn from(found: Unexpected<'_>) -> Option<Self> {
        let Unexpected::Str(text) = found else { return None };
        [Self::Closed, Self::Open, Self::HalfOpen].into_iter().find(|state| state.name() == text)
    }
}
