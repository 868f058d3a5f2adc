//! The half-open state: who gets a probe slot, and what the probes decide.

use super::{Admission, Cause, Machine, Nanos, Phase, ProbeRule, Refusal, Tally, Tick};

impl Machine {
    /// Whether another probe may be admitted, given what the probes of this period have `reported`.
    pub(super) fn has_free_slot(&self, reported: &Tally) -> bool {
        self.probes.count() + reported.counts.calls < self.rules.half_open.probes().into()
    }

    pub(super) fn admit_probe(&mut self) -> Admission {
        self.last_ticket += 1;
        self.probes.admit(self.last_ticket, self.now);
        Admission::Probe(self.last_ticket)
    }

    /// Counts what a probe has reported, and closes or opens the circuit if that decides.
    pub(super) fn record_probe(&mut self, failed: bool, slow: bool, retry_after: Nanos) {
        let rule = self.rules.half_open;
        let too_slow = match rule {
            ProbeRule::ConsecutiveSuccesses(_) => slow && self.rules.slow_call_rate.is_some(),
            ProbeRule::Sample(_) => false, // the slow-call rate of the sample decides
        };
        let Phase::HalfOpen { tally } = &mut self.phase else {
            return;
        };
        tally.record(failed || too_slow, slow);
        let tally = *tally;
        let reported = tally.counts.calls;
        match rule {
            ProbeRule::ConsecutiveSuccesses(_) if failed => {
                self.enter_open(self.now, retry_after, tally, Cause::ProbeFailed);
            }
            ProbeRule::ConsecutiveSuccesses(_) if too_slow => {
                self.enter_open(self.now, retry_after, tally, Cause::ProbeSlow);
            }
            ProbeRule::Sample(_) if self.rules.trips_on(retry_after) => {
                self.enter_open(self.now, retry_after, tally, Cause::RetryAfter);
            }
            ProbeRule::ConsecutiveSuccesses(n) | ProbeRule::Sample(n) if reported < n.into() => {}
            ProbeRule::ConsecutiveSuccesses(_) => self.enter_closed(Cause::ProbesSucceeded),
            ProbeRule::Sample(_) => match self.rules.judge_rates(tally.counts) {
                Some(cause) => self.enter_open(self.now, retry_after, tally, cause),
                None => self.enter_closed(Cause::ProbesSucceeded),
            },
        }
    }

    pub(super) fn refusal(&self) -> Refusal {
        let until = self.next_probe(self.now).unwrap_or(self.now);
        match self.phase {
            Phase::Open { .. } if self.forced => Refusal::FORCED_OPEN,
            Phase::Open { .. } => Refusal::open(until),
            Phase::Closed { .. } | Phase::HalfOpen { .. } => Refusal::half_open(until),
        }
    }

    /// Returns when the next probe may be admitted if nothing else happens before. While half-open
    /// without a free slot, that is after the oldest probe's time and the open period that follows it.
    pub(super) fn next_probe(&self, now: Tick) -> Option<Tick> {
        match self.phase {
            Phase::Closed { .. } => None,
            Phase::Open { .. } if self.forced => None,
            Phase::Open { until, .. } => Some(until),
            Phase::HalfOpen { ref tally } if self.has_free_slot(tally) => Some(now),
            Phase::HalfOpen { .. } => {
                let deadline = self.probes.first_deadline().unwrap_or(now);
                Some(deadline.saturating_add(self.next_wait()))
            }
        }
    }
}
