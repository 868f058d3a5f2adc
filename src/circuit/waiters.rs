//! Callers that wait for a circuit to change.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::sync::{Mutex, lock};
use super::{Circuit, catch_panic, time_until};
use crate::machine::Tick;

/// The callers that wait for a circuit. They take memory once there has been one.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Option<Box<Registered>>>);

#[derive(Default)]
struct Registered {
    last: u64,
    /// By the number of the waiter.
    wakers: BTreeMap<u64, Waker>,
}

impl Waiters {
    /// Wakes all waiters, because the circuit cannot know which of them can go on.
    pub(super) fn wake_all(&self) {
        let wakers = lock(&self.0).as_mut().map(|all| std::mem::take(&mut all.wakers));
        for waker in wakers.into_iter().flat_map(BTreeMap::into_values) {
            // A panic must not leave the others asleep. The waker is dropped on its own, because a panic
            // of a drop during another panic would abort the process.
            catch_panic(|| waker.wake_by_ref());
            catch_panic(|| drop(waker));
        }
    }
}

/// A caller that waits. It is woken by every transition, by a probe slot that becomes free, by the end of the breaker,
/// and by a timer. Dropping it unregisters it.
///
/// It does not keep the breaker alive. It may outlive it, because no two waiters of a circuit have the same number.
pub(crate) struct Waiter {
    circuit: &'static Circuit,
    number: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The longest time for which a timer is set. A caller that is woken early looks at the circuit and waits
/// again.
const LONGEST_TIMER: Duration = Duration::from_secs(24 * 3600);

impl Waiter {
    pub(crate) fn new(circuit: &'static Circuit) -> Self {
        let number = {
            let mut registered = lock(&circuit.waiters.0);
            let registered = registered.get_or_insert_default();
            registered.last += 1;
            registered.last
        };
        Self { circuit, number, timer: None }
    }

    /// Asks to be woken by the circuit. The caller has to check the circuit again *after* this, or it may miss
    /// a change.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let replaced = self.change(|wakers| wakers.insert(self.number, waker));
        catch_panic(|| drop(replaced)); // without the lock, because a waker is user code
    }

    fn change<R>(&self, change: impl FnOnce(&mut BTreeMap<u64, Waker>) -> R) -> R {
        change(&mut lock(&self.circuit.waiters.0).get_or_insert_default().wakers)
    }

    /// Asks to be woken at `at` or, if that is `None`, at no time.
    ///
    /// The timer is made anew at each poll, because a timer belongs to the runtime in which it is made. The
    /// caller may have moved to another runtime since, and its first one may be idle or gone.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime with timers.
    pub(crate) fn wake_at(&mut self, at: Option<Tick>, cx: &mut Context<'_>) {
        let Some(at) = at else {
            self.timer = None;
            return;
        };
        let timer = sleep(time_until(at).min(LONGEST_TIMER));
        let timer = match &mut self.timer {
            Some(pinned) => {
                pinned.set(timer);
                pinned
            }
            // The timer has to be pinned, and a service is not. Only callers that wait pay for the box.
            None => self.timer.insert(Box::pin(timer)),
        };
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let removed = self.change(|wakers| wakers.remove(&self.number));
        catch_panic(|| drop(removed)); // without the lock
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("number", &self.number).finish_non_exhaustive()
    }
}
