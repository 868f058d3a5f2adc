//! A report for programs.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::super::circuit::Transition;
use super::super::incidents::Incident;
use super::Report;
use crate::machine::State;

/// Durations are numbers of seconds. What does not exist is `null`.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Report", 22)?;
        map.serialize_field("traffic", &self.name)?;
        map.serialize_field("duration_seconds", &self.duration.as_secs_f64())?;
        map.serialize_field("circuits", &self.circuits())?;
        map.serialize_field("calls", &self.calls())?;
        map.serialize_field("unknown", &self.unknown())?;
        map.serialize_field("sent", &self.sent())?;
        map.serialize_field("sent_good", &self.sent_good())?;
        map.serialize_field("sent_bad", &self.sent_bad())?;
        map.serialize_field("probes", &self.probes())?;
        map.serialize_field("shed", &self.shed())?;
        map.serialize_field("shed_good", &self.shed_good())?;
        map.serialize_field("shed_bad", &self.shed_bad())?;
        map.serialize_field("shed_share", &self.shed_share())?;
        map.serialize_field("openings", &self.openings())?;
        map.serialize_field("reopenings", &self.reopenings())?;
        map.serialize_field("flaps", &self.flaps())?;
        for (name, state) in [
            ("closed_seconds", State::Closed),
            ("open_seconds", State::Open),
            ("half_open_seconds", State::HalfOpen),
        ] {
            map.serialize_field(name, &self.time_in(state).as_secs_f64())?;
        }
        let longest = self.longest_above_threshold();
        map.serialize_field("longest_above_threshold_seconds", &seconds(longest))?;
        map.serialize_field("incidents", self.incidents())?;
        map.serialize_field("transitions", self.transitions())?;
        map.end()
    }
}

impl Serialize for Incident {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Incident", 6)?;
        map.serialize_field("key", &*self.key)?;
        map.serialize_field("began_seconds", &self.began.as_secs_f64())?;
        map.serialize_field("ended_seconds", &seconds(self.ended))?;
        map.serialize_field("opened_after_seconds", &seconds(self.opened_after))?;
        map.serialize_field("sent", &self.sent)?;
        map.serialize_field("recovered_after_seconds", &seconds(self.recovered_after))?;
        map.end()
    }
}

impl Serialize for Transition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Transition", 7)?;
        map.serialize_field("key", &*self.key)?;
        map.serialize_field("at_seconds", &self.at.as_secs_f64())?;
        map.serialize_field("from", &self.from)?;
        map.serialize_field("to", &self.to)?;
        map.serialize_field("cause", &self.cause)?;
        map.serialize_field("open_duration_seconds", &seconds(self.open_duration))?;
        map.serialize_field("attempt", &self.attempt)?;
        map.end()
    }
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}
