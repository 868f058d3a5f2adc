//! Checks: probes that no caller waits for. The name of a test is the promise that it checks. All tests use a paused
//! clock.

mod endings;
mod failures;
mod recovery;
#[cfg(feature = "keyed")]
mod registry;
mod slots;

use std::cell::Cell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Permit};

const SECOND: Duration = Duration::from_secs(1);

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

type Outcome = Result<(), &'static str>;

/// Trips on the first failure, stays open for a second, and closes after one successful probe.
fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("checked")
        .consecutive_failures(1)
        .open_duration(SECOND)
        .probe_timeout(10 * SECOND)
        .half_open(HalfOpen::consecutive_successes(1))
}

fn permit(breaker: &CircuitBreaker) -> Permit {
    breaker.try_acquire().expect("the call should be admitted")
}

async fn advance(time: Duration) {
    tokio::time::advance(time).await;
}

/// A check that this module makes.
type BoxCheck = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Counts checks, from their creation to their end.
#[derive(Clone, Default)]
struct Checks(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    ended: AtomicUsize,
    most: AtomicUsize,
}

impl Checks {
    fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }

    fn running(&self) -> usize {
        self.begun() - self.0.ended.load(Ordering::SeqCst)
    }

    /// Returns how many have ever run at a time.
    #[cfg(feature = "keyed")]
    fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }

    /// Counts this check for as long as it exists.
    fn count<F: Future>(&self, check: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        self.0.most.fetch_max(self.running(), Ordering::SeqCst);
        let ended = CountOnDrop(self.0.clone());
        async move {
            let _ended = ended;
            check.await
        }
    }

    /// A check that never ends.
    fn hang(&self) -> impl FnMut() -> BoxCheck + use<> {
        let checks = self.clone();
        move || Box::pin(checks.count(pending()))
    }

    /// A check that takes this long and succeeds.
    fn succeed_after(&self, time: Duration) -> impl FnMut() -> BoxCheck + use<> {
        let checks = self.clone();
        move || {
            Box::pin(checks.count(async move {
                tokio::time::sleep(time).await;
                Ok(())
            }))
        }
    }

    /// A check that returns this at once.
    fn answer(&self, outcome: Outcome) -> impl FnMut() -> BoxCheck + use<> {
        let checks = self.clone();
        move || Box::pin(checks.count(async move { outcome }))
    }
}

struct CountOnDrop(Arc<Counts>);

impl Drop for CountOnDrop {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_future_can_be_sent_to_another_thread_if_the_check_can() {
    fn can_be_sent(_: impl Send + 'static) {}
    let breaker = CircuitBreaker::new("sent");
    let not_sync = Cell::new(0);
    can_be_sent(breaker.probe_with(move || {
        not_sync.set(not_sync.get() + 1);
        async { Ok::<(), Rc<()>>(()) } // the error never leaves the thread
    }));
    let not_send = Rc::new(());
    drop(breaker.probe_with(|| {
        let _not_send = not_send.clone();
        async { Ok::<(), ()>(()) }
    }));
}
