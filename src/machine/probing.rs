//! The half-open state: who gets a probe slot, and what the probes decide.

use super::probes::Expired;
use super::{
    Admission, Cause, Counted, Machine, NEVER, Nanos, Occurrence, Phase, ProbeRule, Refusal,
    Report, Tally, Tick, Ticket, Verdict,
};

/// The longest time that late successes can give to probes, as a multiple of the probe timeout.
const MOST_EXTENDED: u64 = 10;

impl Machine {
    // ---- slots --------------------------------------------------------------------------------

    /// Whether another probe may be admitted, given what the probes of this period have `reported`.
    ///
    /// If no probe is in flight, one always is: a new half-open rule may ask for fewer reports than there are
    /// already, and then the next report decides.
    pub(super) fn has_free_slot(&self, reported: &Tally) -> bool {
        let rule = self.rules.half_open;
        let in_flight = self.probes.count();
        in_flight == 0 || in_flight + rule.reported(reported.counts) < rule.probes().into()
    }

    /// Returns whether there is a free slot, if necessary after idle ones have been given back.
    pub(super) fn free_a_slot(&mut self, reported: Tally) -> bool {
        while !self.has_free_slot(&reported) {
            if !self.probes.remove_idle() {
                return false;
            }
        }
        true
    }

    pub(super) fn admit_probe(&mut self) -> Admission {
        self.last_ticket += 1;
        self.probes.admit(self.last_ticket, self.new_deadline());
        Admission::Probe(self.last_ticket)
    }

    /// Admits a check as a probe, if one may be admitted now. While the circuit recovers, calls decide and not probes,
    /// so a check takes nothing from their share. It closes the circuit when a call would.
    pub(crate) fn acquire_check(&mut self, now: Tick) -> Option<Ticket> {
        self.advance(now);
        if self.closed_ticket().is_some() {
            self.end_ramp_if_over();
            return None;
        }
        self.acquire(now).ok().map(Admission::ticket)
    }

    /// Returns when the reservation with this ticket expires, if it is still valid. The one of a call that was
    /// admitted while the circuit recovers is valid for the whole period.
    pub(crate) fn reserved_until(&mut self, now: Tick, ticket: Ticket) -> Option<Tick> {
        self.advance(now);
        let is_of_period = self.closed_ticket() == Some(ticket);
        if is_of_period { Some(NEVER) } else { self.probes.deadline(ticket) }
    }

    /// Called when the inner service of the caller that holds this slot has become ready. Until the call
    /// begins, the slot shows nothing about the dependency, so it goes to any caller that finds no free slot.
    pub(crate) fn slot_is_ready(&mut self, now: Tick, ticket: Ticket) {
        self.advance(now);
        self.probes.set_idle(ticket);
    }

    /// Begins the call with this reservation. The time of a probe starts now. Returns when the call began, if the
    /// reservation was still valid.
    pub(crate) fn begin_reserved(&mut self, now: Tick, ticket: Ticket) -> Option<Tick> {
        self.advance(now);
        if self.closed_ticket() == Some(ticket) {
            return Some(self.begin_call(Admission::Recovering(ticket), now));
        }
        self.probes.begin(ticket, self.new_deadline()).then_some(now)
    }

    fn new_deadline(&self) -> Tick {
        self.now.saturating_add(self.probe_time())
    }

    /// Returns the time that a probe has: the probe timeout, or more if healthy calls have turned out to
    /// take longer than that.
    pub(super) fn probe_time(&self) -> Nanos {
        let timeout = self.rules.probe_timeout;
        self.late_success.saturating_mul(2).clamp(timeout, timeout.saturating_mul(MOST_EXTENDED))
    }

    // ---- results ------------------------------------------------------------------------------

    /// Returns whether a result would be in time at `now`.
    #[cfg(feature = "http")]
    pub(crate) fn awaits(&self, ticket: Ticket, now: Tick) -> bool {
        let deadline = self.probes.deadline(ticket);
        self.closed_ticket() == Some(ticket) || deadline.is_some_and(|deadline| now < deadline)
    }

    /// Takes a result that is too late to count. If it is the success of a probe of this outage, later probes
    /// get more time. Otherwise a dependency whose healthy calls take longer than the probe timeout would never
    /// recover.
    pub(super) fn settle_stale(
        &mut self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) {
        let is_late_probe = |machine: &Self| {
            report == Report::Success
                && machine.closed_ticket().is_none()
                && ticket > machine.outage
        };
        if !is_late_probe(self) {
            return;
        }
        let now = clock();
        self.advance(now); // the circuit may begin to recover by this
        let took = now.saturating_sub(began);
        if is_late_probe(self) && took >= self.probe_time() {
            self.late_success = self.late_success.max(took);
        }
    }

    /// Handles the slots that have expired. A probe that has not reported has failed, and an idle slot becomes
    /// free.
    pub(super) fn expire_probes(&mut self) {
        while let Some(Expired { deadline, idle }) = self.probes.remove_expired(self.now) {
            if idle {
                self.slot_freed = true;
                continue;
            }
            self.occurrences.push(Occurrence::ProbeTimedOut);
            match self.rules.half_open {
                ProbeRule::ConsecutiveSuccesses(_) => {
                    let mut tally = self.tally(deadline);
                    tally.record(true, false);
                    self.enter_open(deadline, tally, Cause::ProbeTimedOut);
                }
                ProbeRule::Sample(_) => {
                    let slow = self.rules.slow_call_duration.is_some();
                    let verdict = Verdict { counted: Some(Counted::Failure), slow };
                    self.record_probe(deadline, verdict, false);
                }
            }
        }
    }

    /// Counts the report of a probe at `at`, and closes or opens the circuit if the report decides.
    pub(super) fn record_probe(&mut self, at: Tick, verdict: Verdict, asked_to_wait: bool) {
        let rule = self.rules.half_open;
        let failed = verdict.failed();
        let too_slow = match rule {
            ProbeRule::ConsecutiveSuccesses(_) => {
                verdict.slow && self.rules.slow_call_rate.is_some()
            }
            ProbeRule::Sample(_) => false, // the slow-call rate of the sample decides
        };
        let Phase::HalfOpen { tally } = &mut self.phase else {
            return;
        };
        tally.counts.record(failed || too_slow, verdict.slow);
        tally.streak = if too_slow { tally.streak + 1 } else { verdict.streak_after(tally.streak) };
        let tally = *tally;
        let reported = rule.reported(tally.counts);
        match rule {
            ProbeRule::ConsecutiveSuccesses(_) if failed => {
                self.enter_open(at, tally, Cause::ProbeFailed);
            }
            ProbeRule::ConsecutiveSuccesses(_) if too_slow => {
                self.enter_open(at, tally, Cause::ProbeSlow);
            }
            ProbeRule::Sample(_) if asked_to_wait && self.rules.trip_on_retry_after => {
                self.enter_open(at, tally, Cause::RetryAfter);
            }
            ProbeRule::ConsecutiveSuccesses(n) | ProbeRule::Sample(n) if reported < n.into() => {}
            ProbeRule::ConsecutiveSuccesses(_) => self.recover(at),
            ProbeRule::Sample(_) => match self.rules.judge_rates(tally.counts) {
                Some(cause) => self.enter_open(at, tally, cause),
                None => self.recover(at),
            },
        }
    }

    // ---- refusals -----------------------------------------------------------------------------

    /// Returns what a call is told that is turned away. While the circuit is forced closed, only the time has a
    /// meaning.
    pub(crate) fn refusal(&self) -> Refusal {
        let until = self.next_probe(self.now).unwrap_or(self.now);
        match (self.phase, self.forced) {
            (_, Some(until)) => Refusal::forced_open(until),
            (Phase::Open { .. }, None) => Refusal::open(until),
            (Phase::Closed { .. } | Phase::HalfOpen { .. }, None) => Refusal::half_open(until),
        }
    }

    /// Returns when the next probe may be admitted. While half-open without a free slot, that is after the
    /// wait that would follow if the probes in flight failed now.
    pub(super) fn next_probe(&self, now: Tick) -> Option<Tick> {
        match self.phase {
            Phase::Closed { .. } => self.next_admission(now),
            Phase::Open { until, .. } => match self.forced {
                Some(NEVER) => None,
                forced => Some(forced.unwrap_or(until)),
            },
            Phase::HalfOpen { ref tally } if self.has_free_slot(tally) => Some(now),
            Phase::HalfOpen { .. } => Some(now.saturating_add(self.next_wait(now))),
        }
    }

    /// Returns when a caller that has registered and waits for admission should ask again. Returns `None` if
    /// nothing changes by the time alone. A change that has just happened wakes the caller anyway.
    pub(crate) fn next_look(&self) -> Option<Tick> {
        match self.phase {
            Phase::Open { .. } => self.next_probe(self.now),
            Phase::Closed { .. } => self.next_ramp_step(),
            Phase::HalfOpen { .. } => self.probes.first_deadline(),
        }
    }
}
