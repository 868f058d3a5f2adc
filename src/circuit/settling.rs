//! Settling the results of calls.

use super::slices::Slice;
use super::status::StatusWord;
use super::sync::lock;
use super::{Circuit, clock};
use crate::machine::{Report, Tick, Ticket};

impl Circuit {
    /// Settles a call. Returns whether its result belonged to the current period.
    #[inline]
    pub(super) fn settle(
        &self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        let status = self.status();
        let has_no_effect = match report {
            // Where calls are not timed, none is slow.
            Report::Success => status.is(StatusWord::NO_EFFECT) && !status.is(StatusWord::TIMED),
            Report::Failure | Report::FailureRetryAfter(_) => false,
            Report::SoftFailure { .. } | Report::GivenUp => false,
            // In another state, a probe may have to give its slot back.
            Report::Ignored | Report::Abandoned => {
                status.is(StatusWord::CLOSED) && !status.is(StatusWord::AGES)
            }
        };
        if has_no_effect {
            return status.ticket() == ticket;
        }
        self.settle_with_effect(clock, ticket, began, report)
    }

    /// Settles a call that is counted in flight. Not part of [`settle_watched`](Self::settle_watched), because each
    /// call by key would pay for its stack frame (`cargo bench --bench keyed -- calls`).
    #[inline(never)]
    pub(super) fn settle_counted(&'static self, status: StatusWord, began: Tick, report: Report) {
        self.settle(clock::now, status.ticket(), began, report);
        self.published.slices.end_call();
    }

    /// Settles a call whose end has to be reported, or that does not count.
    pub(super) fn settle_watched(&'static self, status: StatusWord, began: Tick, report: Report) {
        if status.is(StatusWord::OBSERVED) {
            self.settle_observed(status, began, report);
        } else if !status.is(StatusWord::SHADOW) {
            self.settle_in_flight(status, clock::now, began, report);
        }
        if status.is(StatusWord::COUNTS_IN_FLIGHT) {
            self.published.slices.end_call();
        }
    }

    /// Settles a call and reports how it ended. Not inlined, so that calls that are merely counted do not
    /// have to set up its stack frame (`cargo bench --bench keyed`).
    #[inline(never)]
    pub(super) fn settle_observed(&self, status: StatusWord, began: Tick, report: Report) {
        let now = status.is(StatusWord::TIMED).then(clock::now);
        let clock = || now.unwrap_or_else(clock::now);
        let is_shadow = status.is(StatusWord::SHADOW);
        let is_current = !is_shadow && self.settle_in_flight(status, clock, began, report);

        let took = now.map(|now| now.saturating_sub(began));
        let is_batched = status.is(StatusWord::BATCHED) && is_current && report == Report::Success;
        if is_batched && !self.published.slices.is_slow(took) && self.batch_success(status.ticket())
        {
            return;
        }
        if let Some(watch) = self.watch.load().as_deref() {
            let is_stale = !is_shadow && !is_current;
            watch.call_settled(status.ticket(), took, report, is_stale, is_shadow);
        }
    }

    /// Not inlined, so that what is inlined with every call stays small (`cargo bench --bench overhead`,
    /// "consecutive failures").
    #[inline(never)]
    pub(super) fn settle_with_effect(
        &self,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        if self.status().is(StatusWord::AGES) {
            return self.settle_looking(clock, ticket, began, report);
        }
        let slice = self.slice();
        match self.published.slices.settle(slice, &clock, ticket, began, report) {
            Ok(is_current) => is_current,
            // The time that was read stands: waiting for the lock does not make a call slow.
            Err(Some(now)) => self.settle_locked(slice, || now, ticket, began, report),
            Err(None) => self.settle_locked(slice, clock, ticket, began, report),
        }
    }

    /// Settles what could not be settled in this slice.
    #[cold]
    pub(super) fn settle_locked(
        &self,
        slice: Slice,
        clock: impl Fn() -> Tick,
        ticket: Ticket,
        began: Tick,
        report: Report,
    ) -> bool {
        let locked = lock(&self.locked);
        // Another thread may have begun a new slice while this thread waited for the lock. If each waiting
        // thread ended the slice of the thread before it, no slice would collect anything.
        let latest = self.slice();
        if latest.number != slice.number {
            let slices = &self.published.slices;
            if let Ok(is_current) = slices.settle(latest, &clock, ticket, began, report) {
                return is_current;
            }
        }
        let settled = self.with_locked(locked, |breaker| {
            // Not for a stale result, because its clock may be that of another runtime.
            if breaker.machine().closed_ticket() == Some(ticket) {
                self.find_overdue_calls(breaker);
            }
            breaker.machine().settle(clock, ticket, began, report)
        });
        settled.unwrap_or(false)
    }
}
