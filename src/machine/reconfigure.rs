//! New rules for a machine that goes on.

use std::fmt;
use std::sync::Arc;

use super::{Machine, Occurrence, Phase, Rules, SlidingWindow, Tick, Window};

/// What became of the sliding window of a circuit that has received new settings. Returned by
/// [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure).
///
/// `Display` prints it for people, such as `window kept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reconfigured {
    /// The settings are those that the circuit already had. Nothing has changed, and nobody was notified.
    Unchanged,
    /// The window holds every call that it held before. Circuits that have no window, before and after, report
    /// this as well.
    WindowKept,
    /// The count window has become shorter. It holds the newest calls, as many as fit.
    WindowShortened,
    /// The window begins empty, because its kind, its length in time or its buckets have changed, or because there
    /// was no window before or there is none any more.
    WindowRestarted,
}

impl fmt::Display for Reconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unchanged => "unchanged",
            Self::WindowKept => "window kept",
            Self::WindowShortened => "window shortened",
            Self::WindowRestarted => "window restarted",
        })
    }
}

impl Machine {
    /// Goes by other rules from now on. `enforcement` replaces the share of the new rules.
    ///
    /// Nothing trips or closes by this. The state, its period and the attempt stay, so calls in flight stay
    /// current and the next result is judged by the new rules.
    pub(crate) fn reconfigure(
        &mut self,
        mut rules: Arc<Rules>,
        enforcement: Option<f64>,
        now: Tick,
    ) -> Reconfigured {
        let enforcement = enforcement.unwrap_or(self.rules.enforcement);
        if rules.enforcement != enforcement {
            Arc::make_mut(&mut rules).enforcement = enforcement;
        }
        if rules == *self.settings() {
            return Reconfigured::Unchanged;
        }
        self.advance(now);
        self.forget_all_spent_calls();
        let before = self.set_rules(rules.clone());
        let reconfigured = self.reshape_window(before.window);
        if let (Some(calls), Reconfigured::WindowRestarted) =
            (&mut self.calls_in_flight, reconfigured)
        {
            calls.note_new_window();
        }
        self.watch_calls_in_flight(self.now);
        self.shorten_wait();
        self.occurrences.push(Occurrence::Reconfigured { from: before, to: rules });
        reconfigured
    }

    fn reshape_window(&mut self, before: Option<SlidingWindow>) -> Reconfigured {
        let after = self.rules.window;
        if before == after {
            return Reconfigured::WindowKept;
        }
        if let (Some(Window::Count(window)), Some(size)) =
            (&mut self.window, after.and_then(SlidingWindow::calls))
        {
            let is_kept = window.resize(size);
            return if is_kept { Reconfigured::WindowKept } else { Reconfigured::WindowShortened };
        }
        self.window = after.map(|window| window.open(self.now));
        Reconfigured::WindowRestarted
    }

    /// Ends the wait of an open circuit earlier if the new rules wait for less time.
    fn shorten_wait(&mut self) {
        let wait = self.wait_of(
            self.since,
            self.attempts.saturating_sub(1),
            self.openings.saturating_sub(1),
        );
        let earlier = self.since.saturating_add(wait);
        if let (Phase::Open { until, .. }, None) = (&mut self.phase, self.forced) {
            *until = earlier.min(*until);
        }
    }
}
