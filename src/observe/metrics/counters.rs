//! [`Counters`]: the series that count what single calls do.

use ::metrics::Counter;

use super::labels::{OUTCOMES, REASONS};
use super::late::Late;
use super::names::{CALLS, REJECTIONS, Registrar, SLOW_CALLS, STALE_RESULTS, WOULD_REJECT};
use crate::machine::RejectReason;
use crate::observe::{Ending, EventKind, Settled};

/// Counts calls and rejections, also while there is no recorder.
pub(super) struct Counters {
    calls: [Late<Counter>; OUTCOMES.len()],
    slow_calls: Late<Counter>,
    stale_results: Late<Counter>,
    rejections: [Late<Counter>; REASONS.len()],
    would_reject: [Late<Counter>; OUTCOMES.len()],
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            calls: OUTCOMES.map(|outcome| Late::new(CALLS, &[("outcome", outcome)])),
            slow_calls: Late::new(SLOW_CALLS, &[]),
            stale_results: Late::new(STALE_RESULTS, &[]),
            rejections: REASONS.map(|reason| Late::new(REJECTIONS, &[("reason", reason)])),
            would_reject: OUTCOMES.map(|outcome| Late::new(WOULD_REJECT, &[("outcome", outcome)])),
        }
    }

    /// Begins the series that every circuit has, with the value zero.
    pub(super) fn begin(&self, to: &Registrar) {
        self.calls.iter().for_each(|counter| counter.add(0, to));
        self.stale_results.add(0, to);
        self.begin_rejections(RejectReason::Open, to);
        self.begin_rejections(RejectReason::HalfOpen, to);
    }

    pub(super) fn begin_slow_calls(&self, to: &Registrar) {
        self.slow_calls.add(0, to);
    }

    pub(super) fn begin_would_reject(&self, to: &Registrar) {
        self.would_reject.iter().for_each(|counter| counter.add(0, to));
    }

    pub(super) fn begin_rejections(&self, reason: RejectReason, to: &Registrar) {
        self.rejections[reason as usize].add(0, to);
    }

    /// Counts what a single call did.
    pub(super) fn count(&self, kind: EventKind<'_>, to: &Registrar) {
        match kind {
            EventKind::Settled(settled) => self.count_call(settled, to),
            EventKind::Rejected(rejected) => {
                self.rejections[rejected.reason() as usize].add(1, to);
            }
            _ => {}
        }
    }

    fn count_call(&self, settled: Settled, to: &Registrar) {
        let outcome = settled.ending() as usize;
        if settled.is_shadow() {
            return self.would_reject[outcome].add(1, to);
        }
        self.calls[outcome].add(1, to);
        if settled.is_slow() {
            self.slow_calls.add(1, to);
        }
        if settled.is_stale() {
            self.stale_results.add(1, to);
        }
    }

    /// Counts calls that have succeeded and were neither slow nor late.
    pub(super) fn count_successes(&self, n: u64, to: &Registrar) {
        self.calls[Ending::Success as usize].add(n.try_into().unwrap_or(i64::MAX), to);
    }

    /// Shows what was counted while there was no recorder.
    pub(super) fn add_waiting(&self, to: &Registrar) {
        self.all().for_each(|counter| counter.add_waiting(to));
    }

    /// Tells the recorder that the series are still in use.
    pub(super) fn keep(&self) {
        self.all().for_each(Late::keep);
    }

    fn all(&self) -> impl Iterator<Item = &Late<Counter>> {
        let Self { calls, slow_calls, stale_results, rejections, would_reject } = self;
        let arrays = calls.iter().chain(rejections).chain(would_reject);
        arrays.chain([slow_calls, stale_results])
    }
}
