//! A snapshot for people, in one line.

use std::fmt;
use std::time::Duration;

use super::Snapshot;
use crate::machine::{EnforcementNote, ProbeRule, State};

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.state(), Length(self.age()))?;
        if let Some(cause) = self.cause() {
            write!(f, " ({cause})")?;
        }
        if self.is_forced() {
            f.write_str(", held by an operator")?;
        }
        if let Some(time) = self.forced_for() {
            write!(f, " for another {}", Length(time))?;
        }
        if let Some(time) = self.suspected_for() {
            write!(f, ", suspected for another {}", Length(time))?;
        }
        EnforcementNote(self.enforcement()).fmt(f)?;
        match self.state() {
            State::Closed => self.what_would_trip_it(f),
            State::Open => self.what_ends_the_wait(f),
            State::HalfOpen if self.0.is_recovering() => {
                write!(
                    f,
                    ", recovering, {:.0} % of calls admitted",
                    100.0 * self.admitted_share()
                )?;
                self.what_would_trip_it(f)
            }
            State::HalfOpen => self.what_is_missing_to_close(f),
        }
    }
}

impl Snapshot {
    fn what_would_trip_it(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = ": ";
        for rule in self.trip_rules() {
            write!(f, "{separator}{rule}")?;
            separator = "; ";
        }
        match self.hung_calls() {
            None | Some(0) => Ok(()),
            Some(1) => f.write_str(", 1 call hangs"),
            Some(n) => write!(f, ", {n} calls hang"),
        }
    }

    fn what_ends_the_wait(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(attempt) = self.attempt() {
            write!(f, ", attempt {attempt}")?;
        }
        match self.retry_after() {
            None => Ok(()),
            Some(_) if self.is_forced() => Ok(()),
            Some(Duration::ZERO) => f.write_str(": the next call is a probe"),
            Some(wait) => write!(f, ": next probe in {}", Length(wait)),
        }
    }

    fn what_is_missing_to_close(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, failures, slow) = (self.calls(), self.failures(), self.slow_calls());
        match self.0.rules.half_open {
            rule @ ProbeRule::ConsecutiveSuccesses(n) => {
                write!(f, ": {} of {n} successes", rule.reported(self.0.tally.counts))?;
            }
            ProbeRule::Sample(n) => {
                write!(f, ": {calls} of {n} probes reported ({failures} failed, {slow} slow)")?;
            }
        }
        match self.probes_in_flight() {
            0 => f.write_str(", no probe in flight")?,
            1 => f.write_str(", 1 probe in flight")?,
            n => write!(f, ", {n} probes in flight")?,
        }
        match self.next_probe_timeout() {
            Some(wait) => write!(f, ", next time-out in {}", Length(wait)),
            None => Ok(()),
        }
    }
}

/// Prints a duration with its two largest units, or below a minute with one decimal.
pub(crate) struct Length(pub(crate) Duration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        match self.0.as_secs() {
            0 if self.0.is_zero() => f.write_str("0s"),
            ..MINUTE => write!(f, "{:.1?}", self.0),
            s @ ..HOUR => write!(f, "{}m {}s", s / MINUTE, s % MINUTE),
            s @ ..DAY => write!(f, "{}h {}m", s / HOUR, s % HOUR / MINUTE),
            s => write!(f, "{}d {}h", s / DAY, s % DAY / HOUR),
        }
    }
}
