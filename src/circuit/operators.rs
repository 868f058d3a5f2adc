//! What operators do to a circuit while it works for a breaker.

use std::sync::Arc;

use super::locked::LockedBreaker;
use super::observer::{Watch, Watches};
use super::sync::lock;
use super::{Circuit, HAS_BREAKER, clock};
use crate::machine::{NEVER, OperatorAction, Reconfigured, Rules, Saved};

impl Circuit {
    /// Lets an operator act.
    pub(crate) fn operate(&self, action: OperatorAction) {
        let now = clock::now();
        self.with_locked(lock(&self.locked), |breaker| {
            self.find_overdue_calls(breaker);
            breaker.machine().operate(action, now);
            if matches!(action, OperatorAction::SetEnforcement { .. }) {
                self.follow_rules(breaker);
            }
        });
    }

    /// Lets a circuit that has just started go on where another one has ended.
    pub(crate) fn prime(&self, saved: &Saved) {
        let now = clock::now();
        self.with_locked(lock(&self.locked), |breaker| breaker.machine().prime(saved, now));
    }

    /// Changes the settings. `enforcement` replaces the share of the new rules.
    pub(crate) fn reconfigure(&self, rules: Arc<Rules>, enforcement: Option<f64>) -> Reconfigured {
        let now = clock::now();
        let reconfigured = self.with_locked(lock(&self.locked), |breaker| {
            self.find_overdue_calls(breaker);
            let reconfigured = breaker.machine().reconfigure(rules, enforcement, now);
            self.follow_rules(breaker);
            reconfigured
        });
        reconfigured.expect(HAS_BREAKER)
    }

    /// Takes over those of the machine's rules that are read without the lock. Called with the lock held, between two
    /// slices, so that no result is settled by rules of both kinds.
    pub(super) fn follow_rules(&self, breaker: &mut LockedBreaker) {
        breaker.follow_rules();
        self.follow_grid(breaker);
        let (observer, rules) = (&breaker.observer, breaker.rules());
        self.published.slices.set_slow_after(rules.slow_call_duration.unwrap_or(NEVER));
        self.enforcement.set_share(rules.enforcement);
        if observer.watches() >= Watches::Batches {
            let watch = Watch::new(observer.clone(), rules.clone(), breaker.first_ticket());
            self.watch.store(Some(Arc::new(watch)));
        }
    }

    /// Returns how many nanoseconds without a sign of life make an abandoned call a failed one.
    #[cfg(feature = "http")]
    pub(super) fn abandoned_after(&self) -> crate::machine::Nanos {
        let mut locked = lock(&self.locked);
        locked.breaker().and_then(|breaker| breaker.rules().abandoned_after).unwrap_or(NEVER)
    }
}
