//! Those who wait for a circuit to change.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::breaker::CircuitBreaker;
use crate::contain::contain;
use crate::sync::{Mutex, lock};

/// The wakers of a circuit's waiters, by the waiter's number.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<Registered>);

#[derive(Default)]
struct Registered {
    last: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Waiters {
    /// Wakes them all: which of them can go on depends on more than the circuit knows.
    pub(crate) fn wake_all(&self) {
        let wakers = std::mem::take(&mut lock(&self.0).wakers);
        for waker in wakers.into_values() {
            contain(|| waker.wake()); // or a panic would keep the others asleep
        }
    }
}

/// One who waits: woken by every transition, by a probe that gives its place back, and by a timer.
/// Unregisters itself when dropped.
pub(crate) struct Waiter {
    breaker: CircuitBreaker,
    number: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Timers are not set further ahead. Who is woken for nothing looks and waits again.
const LONGEST_TIMER: Duration = Duration::from_secs(24 * 3600);

impl Waiter {
    pub(crate) fn new(breaker: CircuitBreaker) -> Self {
        let number = {
            let mut registered = lock(&breaker.circuit().waiters.0);
            registered.last += 1;
            registered.last
        };
        Self { breaker, number, timer: None }
    }

    /// Asks to be woken by the circuit. To miss nothing, the caller looks at the circuit *after* it.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let replaced = lock(&self.breaker.circuit().waiters.0).wakers.insert(self.number, waker);
        drop(replaced); // without the lock, as a waker is somebody else's code
    }

    /// Asks to be woken in `wait`.
    ///
    /// # Panics
    /// Without a tokio runtime that has its timers enabled.
    pub(crate) fn wake_in(&mut self, wait: Duration, cx: &mut Context<'_>) {
        let wait = wait.min(LONGEST_TIMER);
        let timer = match &mut self.timer {
            Some(timer) => {
                timer.as_mut().reset(Instant::now() + wait);
                timer
            }
            // A service is not pinned, so its timer must be. Only who waits pays for it.
            None => self.timer.insert(Box::pin(sleep(wait))),
        };
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let removed = lock(&self.breaker.circuit().waiters.0).wakers.remove(&self.number);
        drop(removed); // without the lock
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("number", &self.number).finish_non_exhaustive()
    }
}
