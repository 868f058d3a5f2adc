//! What distinguishes one world from another.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::super::*;
use super::super::steps::{PROBE_TIMEOUT, UNIT};
use super::{Call, World};

/// Most rules do not ask whether something is longer ago than this.
const LONG: Nanos = 4 * UNIT;

/// A probe that takes longer than this to succeed extends the time of later probes no further.
const LATEST_SUCCESS: Nanos = 5 * PROBE_TIMEOUT;

impl World {
    /// Returns what distinguishes this world from others, regardless of the time and of the values of its tickets.
    /// Two worlds with the same key have the same future.
    pub(crate) fn key(&self) -> u64 {
        let Self { machine, now, .. } = self;
        let ago = |time: Tick| now.saturating_sub(time).min(LONG);
        let long_ago = |time: Tick| now.saturating_sub(time).min(LATEST_SUCCESS);
        let ahead = |time: Tick| (time.saturating_add(LONG)).saturating_sub(*now);
        let is_late_probe =
            |call: &Call| machine.closed_ticket().is_none() && call.ticket > machine.outage;
        let mut calls: Vec<_> = self
            .calls
            .iter()
            .map(|call| match machine.probes.deadline(call.ticket) {
                Some(deadline) => (call.stage, 3, ahead(deadline), long_ago(call.began)),
                None if machine.closed_ticket() == Some(call.ticket) => {
                    (call.stage, 2, 0, ago(call.began))
                }
                None if is_late_probe(call) => (call.stage, 1, 0, long_ago(call.began)),
                None => (call.stage, 0, 0, 0),
            })
            .collect();
        calls.sort_unstable();
        let phase = match &machine.phase {
            // A streak that is longer than the rule needs can grow only while the circuit is forced closed.
            Phase::Closed { streak, .. } => {
                let limit = machine.settings().consecutive_failures.unwrap_or(0);
                (0, (*streak).min(limit), Tally::default())
            }
            Phase::Open { until, .. } => (1, ahead(*until), Tally::default()),
            Phase::HalfOpen { tally } => (2, 0, *tally),
        };
        let ramp = machine.ramp.map(|ramp| (ramp.credit, ramp.over, ago(ramp.began)));
        let window = machine.window.as_ref().map(|window| window.as_seen_at(*now));
        // A call that hung this long ago weighs in no window.
        let in_flight = machine.calls_in_flight.as_ref().map(|it| {
            let age = |bucket: u64| it.bucket(*now).saturating_sub(bucket).min(40);
            let young = it.young.iter().map(|it| (age(it.bucket), it.calls));
            let later = |found: Option<u64>| found.map(|n| (it.recorded - n).min(4));
            let overdue = it.overdue.iter().map(|it| (age(it.bucket), it.calls, later(it.hung)));
            let (young, overdue) = (young.collect::<Vec<_>>(), overdue.collect::<Vec<_>>());
            (young, overdue, it.spent, it.last_success.map(ago))
        });
        let forced = machine.forced.map(|end| if end == NEVER { NEVER } else { ahead(end) });
        let suspected = machine.suspicion.as_ref().map(|it| ahead(it.until));
        let mut hasher = DefaultHasher::new();
        suspected.hash(&mut hasher);
        (calls, phase, ramp, in_flight, forced, window, ago(machine.now)).hash(&mut hasher);
        (machine.probes.count(), self.successes, self.rules_changed).hash(&mut hasher);
        let rules = self.all_rules.iter().position(|rules| *rules == *machine.settings());
        let closed_for = machine.closed_time.total(*now).min(LONG);
        let remembered = machine.attempts.min(machine.rules.open_duration.attempts_to_max());
        (rules, remembered, closed_for).hash(&mut hasher);
        let retry_after = machine.retry_after.wait(*now);
        (machine.late_success.min(LATEST_SUCCESS), retry_after).hash(&mut hasher);
        hasher.finish()
    }
}
