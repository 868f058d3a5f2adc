//! Looking at the machine without changing anything.

#[cfg(feature = "admin")]
use super::StatusWord;
use super::sync::lock;
use super::{Circuit, HAS_BREAKER, clock};
use crate::machine::{Machine, Tick, View};

impl Circuit {
    /// Returns the current state of the circuit, and lets the observer take a reading.
    pub(crate) fn view(&self) -> View {
        let now = clock::now();
        let view = self.with_locked(lock(&self.locked), |breaker| {
            self.find_overdue_calls(breaker);
            self.count_calls_in_flight(breaker);
            breaker.read(now);
            breaker.machine().view(now)
        });
        self.report_batches();
        view.expect(HAS_BREAKER)
    }

    /// Returns whether the circuit is closed by itself and counts neither failures nor slow calls. If it returns `false`,
    /// that may still be so: this is the quick look at one of very many circuits, which does not unpack their machines.
    #[cfg(feature = "admin")]
    pub(crate) fn is_known_to_be_healthy(&self) -> bool {
        let status = self.status();
        let is_free = status.is(StatusWord::CLOSED) && !status.is(StatusWord::FORCED);
        // All that is collected outside of a packed machine are successes that are not slow.
        is_free && (status.is(StatusWord::NO_EFFECT) || lock(&self.locked).is_packed())
    }

    /// Lets the observer take a reading and pass it on, if the circuit works for a breaker.
    #[cfg(feature = "metrics")]
    pub(crate) fn refresh(&self) {
        let now = clock::now();
        let observer = self.with_locked(lock(&self.locked), |breaker| {
            self.find_overdue_calls(breaker);
            self.count_calls_in_flight(breaker);
            breaker.read(now);
            breaker.observer.clone()
        });
        if let Some(observer) = observer {
            self.report_batches();
            observer.publish();
        }
    }

    /// Looks at the machine. `look` runs with the lock held and must not run user code.
    pub(crate) fn inspect<R>(&self, look: impl FnOnce(&Machine, Tick) -> R) -> R {
        let now = clock::now();
        let mut locked = lock(&self.locked);
        let breaker = locked.breaker().expect(HAS_BREAKER);
        let seen = look(breaker.machine(), now);
        breaker.pack();
        seen
    }
}
