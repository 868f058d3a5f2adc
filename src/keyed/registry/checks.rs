//! Checks of all circuits of a registry.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::sleep;

use super::{CircuitBreakerRegistry, Shared};
use crate::breaker::RunningCheck;
use crate::circuit::{catching_waker, time_until};
use crate::machine::{NEVER, Tick};
use crate::observe::Changes;

/// How many checks run at a time.
const MOST_CHECKS: usize = 16;

/// The shortest time between the end of one look at all circuits and the beginning of the next.
const PAUSE: Duration = Duration::from_millis(100);

impl<K> CircuitBreakerRegistry<K> {
    /// Probes the dependencies with `check` whenever their circuits would admit a probe, so that the circuits recover
    /// although nobody calls. Spawn the future that this returns.
    ///
    /// This is [`CircuitBreaker::probe_with`](crate::CircuitBreaker::probe_with) for all circuits of the registry, also
    /// for those that are created later. It says what a failed check is and when no check runs. `check` receives the
    /// key of the circuit. At most 16 checks run at a time, one for each circuit at most, and circuits whose turn it is
    /// wait for their turn.
    ///
    /// The future is woken when any circuit of the registry opens, closes, or has a probe slot again, and when the wait
    /// of an open circuit has elapsed. Then it looks at all circuits, at up to 64 at a time with the registry
    /// locked. Between two looks it pauses for at least 100 ms, so a circuit whose half-open rule needs several
    /// successes takes at least that long for each. While all circuits are closed, it sleeps without a timer.
    ///
    /// A circuit that was removed or dropped is not checked any more; a check that is running goes on only while there
    /// are handles to the circuit. A check is no use of the circuit. A circuit that no call has used between two sweeps
    /// is not checked any more until the next call, so that it can be dropped after its
    /// [idle timeout](crate::keyed::CircuitBreakerRegistryBuilder::idle_timeout), even if its dependency never returns.
    ///
    /// The future ends when every handle to the registry has been dropped. It keeps neither the registry nor its
    /// circuits alive, but layers and services do.
    ///
    /// # Cost
    /// Nothing for calls. For a look at all circuits, one read for each closed circuit.
    ///
    /// # Cancel safety
    /// The future can be dropped at any time. The checks that are running are dropped, and their probe slots are given
    /// back.
    ///
    /// # Panics
    /// A panic of a check is caught, after the panic hook has reported it. The future panics if a circuit is not closed
    /// and there is no tokio runtime with timers.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use tower_breaker::keyed::CircuitBreakerRegistry;
    /// use tower_breaker::{CircuitBreaker, State};
    ///
    /// # async fn get(_: String) -> std::io::Result<()> { Ok(()) }
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let circuits = CircuitBreakerRegistry::<String>::builder(CircuitBreaker::builder("http")).build()?;
    /// tokio::spawn(circuits.probe_with(|host: &String| get(format!("https://{host}/health"))));
    ///
    /// circuits.get_or_create("payments.example.com").trip();
    /// tokio::time::sleep(Duration::from_secs(10)).await; // nobody calls
    /// assert_eq!(circuits.get_or_create("payments.example.com").state(), State::Closed);
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// # }).unwrap();
    /// ```
    #[must_use = "the checks run only if the future is spawned or awaited"]
    pub fn probe_with<F, Fut, E>(&self, check: F) -> impl Future<Output = ()> + use<K, F, Fut, E>
    where
        F: FnMut(&K) -> Fut,
        Fut: Future<Output = Result<(), E>>,
    {
        let changes = self.shared.template.changes().clone();
        run(Arc::downgrade(&self.shared), changes, check)
    }
}

async fn run<K, F, Fut, E>(registry: Weak<Shared<K>>, changes: Arc<Changes>, mut check: F)
where
    F: FnMut(&K) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    let mut running = Running { checks: Vec::new(), changes: &changes };
    loop {
        // Before the look, so that no change is missed.
        let mut changed = pin!(changes.next());
        let mut look = Look { from: 0, next: NEVER };
        while look.at_some(&registry, &mut running, &mut check) {
            yield_now().await;
            running.until_capacity().await;
        }
        if registry.strong_count() == 0 {
            return;
        }
        let mut pause = pin!(sleep(PAUSE));
        running.until(|cx| pause.as_mut().poll(cx).is_ready()).await;
        let mut next_look = pin!((look.next < NEVER).then(|| sleep(time_until(look.next))));
        running
            .until(|cx| {
                let waker = catching_waker(cx.waker());
                let has_changed = changed.as_mut().poll(&mut Context::from_waker(&waker));
                let next_look = next_look.as_mut().as_pin_mut();
                has_changed.is_ready() || next_look.is_some_and(|timer| timer.poll(cx).is_ready())
            })
            .await;
    }
}

/// A look at all circuits, from the number at which it goes on.
struct Look {
    from: usize,
    /// When one of the circuits that it has seen has to be looked at again.
    next: Tick,
}

impl Look {
    /// Looks at the next few circuits, and begins checks until too many are running. Returns whether there is more to
    /// look at.
    fn at_some<K, F, Fut, E>(
        &mut self,
        registry: &Weak<Shared<K>>,
        running: &mut Running<'_, Fut>,
        check: &mut F,
    ) -> bool
    where
        F: FnMut(&K) -> Fut,
        Fut: Future<Output = Result<(), E>>,
    {
        let Some(registry) = registry.upgrade() else {
            return false;
        };
        let (looked_at, entries) = registry.places(self.from, |entry| entry.needs_checks());
        drop(registry); // before user code runs, which may take long
        self.from += looked_at;
        for entry in entries {
            if running.checks.len() >= MOST_CHECKS {
                self.from = entry.number as usize;
                break;
            }
            let (breaker, key) = (entry.breaker(), entry.key());
            let key = key.filter(|_| !running.checks.iter().any(|check| check.is_of(breaker)));
            let Some(key) = key else { continue };
            match RunningCheck::begin(breaker, || check(key)) {
                Ok(begun) => running.checks.push(begun),
                Err(next) => self.next = self.next.min(next.unwrap_or(NEVER)),
            }
        }
        looked_at > 0
    }
}

/// The checks that are running.
struct Running<'a, Fut> {
    checks: Vec<RunningCheck<Fut>>,
    changes: &'a Changes,
}

impl<Fut, E> Running<'_, Fut>
where
    Fut: Future<Output = Result<(), E>>,
{
    /// Polls the checks, and then `is_over`, until that returns true.
    async fn until(&mut self, mut is_over: impl FnMut(&mut Context<'_>) -> bool) {
        poll_fn(|cx| {
            self.poll(cx);
            if is_over(cx) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Waits until another check may begin.
    async fn until_capacity(&mut self) {
        poll_fn(|cx| {
            if self.checks.len() >= MOST_CHECKS {
                self.poll(cx);
            }
            if self.checks.len() < MOST_CHECKS { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        let before = self.checks.len();
        self.checks.retain_mut(|check| check.poll(cx).is_pending());
        if self.checks.len() < before {
            self.changes.notify(); // the circuit may need another check
        }
    }
}
