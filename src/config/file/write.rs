//! Writing settings to a file, in the form in which they are read.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Config;
use crate::machine::{Backoff, Extent, HalfOpen, ProbeRule, SlidingWindow};

/// Requires the feature `serde`. Writes the settings that are present.
impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A duration as a string with units.
struct Text(Duration);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

pub(super) fn as_text<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    d.map(Text).serialize(s)
}

/// Requires the feature `serde`. Writes what is read.
impl Serialize for SlidingWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_struct("SlidingWindow", 2)?;
        match self.extent {
            Extent::Calls(n) => table.serialize_field("calls", &n)?,
            Extent::Time(length) => table.serialize_field("time", &Text(length))?,
        }
        match self.buckets {
            Some(n) => table.serialize_field("buckets", &n)?,
            None => table.skip_field("buckets")?,
        }
        table.end()
    }
}

/// Requires the feature `serde`. Writes what is read: a constant wait as a duration, and any other as a table.
impl Serialize for Backoff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::constant(self.initial) {
            return Text(self.initial).serialize(serializer);
        }
        let mut table = serializer.serialize_struct("Backoff", 5)?;
        table.serialize_field("initial", &Text(self.initial))?;
        table.serialize_field("max", &Text(self.max))?;
        table.serialize_field("factor", &self.factor)?;
        table.serialize_field("jitter", &self.jitter)?;
        if self.forget_after.is_zero() {
            table.skip_field("forget_after")?;
        } else {
            table.serialize_field("forget_after", &Text(self.forget_after))?;
        }
        table.end()
    }
}

/// Requires the feature `serde`. Writes what is read.
impl Serialize for HalfOpen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_struct("HalfOpen", 2)?;
        match self.probes {
            ProbeRule::ConsecutiveSuccesses(n) => {
                table.serialize_field("consecutive_successes", &n)?;
            }
            ProbeRule::Sample(n) => table.serialize_field("sample", &n)?,
        }
        if self.ramp.is_zero() {
            table.skip_field("ramp")?;
        } else {
            table.serialize_field("ramp", &Text(self.ramp))?;
        }
        table.end()
    }
}
