//! Looking at the machine without changing anything.

use super::sync::lock;
use super::{Circuit, HAS_BREAKER, clock};
use crate::machine::{Machine, Tick, View};

impl Circuit {
    /// Returns the current state of the circuit, and lets the observer take a reading.
    pub(crate) fn view(&self) -> View {
        let now = clock::now();
        let view = self.with_locked(lock(&self.locked), |breaker| {
            breaker.read(now);
            breaker.machine().view(now)
        });
        self.report_batches();
        view.expect(HAS_BREAKER)
    }

    /// Lets the observer take a reading and pass it on, if the circuit works for a breaker.
    #[cfg(feature = "metrics")]
    pub(crate) fn refresh(&self) {
        let now = clock::now();
        let observer = self.with_locked(lock(&self.locked), |breaker| {
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
