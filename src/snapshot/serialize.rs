//! A snapshot for programs.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Snapshot;

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = |d: Option<Duration>| d.map(|d| d.as_secs_f64());
        let trip_rules: Vec<_> = self.trip_rules().collect();

        let mut map = serializer.serialize_struct("Snapshot", 22)?;
        map.serialize_field("state", &self.state())?;
        map.serialize_field("forced", &self.is_forced())?;
        map.serialize_field("forced_for_seconds", &seconds(self.forced_for()))?;
        map.serialize_field("suspected_for_seconds", &seconds(self.suspected_for()))?;
        map.serialize_field("admitted_share", &self.admitted_share())?;
        map.serialize_field("enforcement", &self.enforcement())?;
        map.serialize_field("age_seconds", &self.age().as_secs_f64())?;
        map.serialize_field("cause", &self.cause())?;
        map.serialize_field("calls", &self.calls())?;
        map.serialize_field("failures", &self.failures())?;
        map.serialize_field("slow_calls", &self.slow_calls())?;
        map.serialize_field("consecutive_failures", &self.consecutive_failures())?;
        map.serialize_field("failure_rate", &self.failure_rate())?;
        map.serialize_field("slow_call_rate", &self.slow_call_rate())?;
        map.serialize_field("trip_rules", &trip_rules)?;
        map.serialize_field("attempt", &self.attempt())?;
        map.serialize_field("retry_after_seconds", &seconds(self.retry_after()))?;
        map.serialize_field("calls_in_flight", &self.calls_in_flight())?;
        map.serialize_field("hung_calls", &self.hung_calls())?;
        map.serialize_field("probes_in_flight", &self.probes_in_flight())?;
        map.serialize_field("probes_to_close", &self.probes_to_close())?;
        map.serialize_field("next_probe_timeout_seconds", &seconds(self.next_probe_timeout()))?;
        map.end()
    }
}
