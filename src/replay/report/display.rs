//! A report for people, as a table.

use std::fmt;
use std::time::Duration;

use super::super::incidents::Incident;
use super::Report;
use crate::circuit::Escaped;
use crate::machine::State;
use crate::snapshot::Length;

/// More incidents than this are only counted.
const MOST_INCIDENTS: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, circuits) =
            (count(self.calls(), "call"), count(self.circuits() as u64, "circuit"));
        writeln!(f, "{}: {calls} in {}, {circuits}", self.name, Length(self.duration))?;
        let openings = format!(
            "{}, and {} from half-open, {}",
            self.openings(),
            self.reopenings(),
            count(self.flaps(), "flap")
        );
        row(f, "openings", openings)?;
        row(f, "sent", format!("{}, of which {} failed", self.sent(), self.sent_bad()))?;
        let shed = format!(
            "{}, of which {} would have succeeded ({:.2} % of all that succeed), {} would have failed",
            self.shed(),
            self.shed_good(),
            100.0 * self.shed_share(),
            self.shed_bad()
        );
        row(f, "shed", shed)?;
        row(f, "probes", self.probes())?;
        let [closed, open, half_open] = [State::Closed, State::Open, State::HalfOpen]
            .map(|state| format!("{state} {}", Length(self.time_in(state))));
        row(f, "time", format!("{closed}, {open}, {half_open}"))?;
        if let Some(longest) = self.longest_above_threshold.filter(|longest| !longest.is_zero()) {
            let text =
                format!("{} at most, with the failure rate at its threshold", Length(longest));
            row(f, "closed in vain", text)?;
        }
        if self.unknown() > 0 {
            let text =
                format!("{} whose end the trace does not know", count(self.unknown(), "call"));
            row(f, "unknown", text)?;
        }
        self.list_incidents(f)?;
        if self.met.is_none() {
            f.write_str(
                "A recorded call ends as it was recorded, however many calls are shed. A dependency that\n\
                 recovers because it receives fewer calls is not shown.\n",
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn list_incidents(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.incidents.is_empty() {
            return writeln!(f, "no incident");
        }
        writeln!(
            f,
            "  {:<15} {:>8}  {:>11}  {:>8}  {:>12}  circuit",
            "incident at", "lasts", "opens after", "sent", "closes after"
        )?;
        for incident in self.incidents.iter().take(MOST_INCIDENTS) {
            let Incident { began, ended, opened_after, sent, recovered_after, .. } = incident;
            let lasts = or(ended.map(|ended| ended - *began), "no end");
            let recovered =
                if ended.is_some() { or(*recovered_after, "never") } else { String::new() };
            let line = format!(
                "  {:<15} {lasts:>8}  {:>11}  {sent:>8}  {recovered:>12}  {}",
                Length(*began).to_string(),
                or(*opened_after, "never"),
                Escaped(&incident.key)
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        match self.incidents.len().saturating_sub(MOST_INCIDENTS) {
            0 => Ok(()),
            more => writeln!(f, "and {more} more"),
        }
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<15} {value}")
}

fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn or(duration: Option<Duration>, none: &str) -> String {
    duration.map_or(none.into(), |duration| Length(duration).to_string())
}
