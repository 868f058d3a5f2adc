//! What is recorded in a closed period, and what the trip rules make of it.

use super::{Counted, Machine, Phase, Results, Tally, Tick, Verdict};

impl Machine {
    /// Takes `n` successes of the current closed period, none of them slow, that completed before
    /// anything else happens. Their [`Effect`](super::Effect) must have been [`Counted`](super::Effect::Counted).
    pub(crate) fn settle_successes(&mut self, n: u64) {
        if let Some(window) = &mut self.window {
            window.record_successes(n);
        }
        self.note_results(n);
    }

    /// Takes results of the current closed period in the same way. Their [`Effect`](super::Effect) must have been
    /// [`Logged`](super::Effect::Logged).
    pub(crate) fn settle_results(&mut self, results: Results) {
        if let Some(window) = &mut self.window {
            window.record_results(results);
        }
        self.note_results(results.len().into());
        if let Phase::Closed { streak, .. } = &mut self.phase {
            let all_failed = results.streak() == results.len();
            *streak = u64::from(results.streak()) + if all_failed { *streak } else { 0 };
        }
        debug_assert!(self.is_forced() || self.rules.judge(self.judged(self.now), false).is_none());
    }

    /// Counts the result of a call of the current closed period, if it counts, and trips the circuit if a
    /// rule now holds.
    pub(super) fn record(
        &mut self,
        verdict: Verdict,
        asked_to_wait: bool,
        clock: impl Fn() -> Tick,
    ) {
        let cause = if verdict.counted.is_some() {
            self.count(verdict);
            self.rules.judge(self.judged(self.now), asked_to_wait)
        } else {
            self.overdue_cause()
        };
        if let (None, Some(cause)) = (self.forced, cause) {
            let tally = self.judged(self.now);
            self.advance(clock());
            self.enter_open(self.now, tally, cause);
        }
    }

    fn count(&mut self, verdict: Verdict) {
        if let Some(window) = &mut self.window {
            window.record(verdict.failed(), verdict.slow);
        }
        if let Phase::Closed { streak, .. } = &mut self.phase {
            *streak = verdict.streak_after(*streak);
        }
        if let Some(calls) = &mut self.calls_in_flight {
            calls.note_results(1);
            if verdict.counted == Some(Counted::Success) {
                calls.note_success(self.now);
            }
        }
    }

    fn note_results(&mut self, n: u64) {
        if let Some(calls) = &mut self.calls_in_flight {
            calls.note_results(n);
        }
    }

    pub(super) fn tally(&self, now: Tick) -> Tally {
        match self.phase {
            Phase::Closed { streak, .. } => {
                let counts = self.window.as_ref().map(|window| window.counts_at(now));
                Tally { counts: counts.unwrap_or_default(), streak, ..Tally::default() }
            }
            Phase::Open { tally, .. } | Phase::HalfOpen { tally } => tally,
        }
    }
}
