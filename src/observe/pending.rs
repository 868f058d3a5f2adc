//! [`Pending`]: the notifications that have to be reported in order, and which thread reports them.
//!
//! # The protocol
//!
//! What changes a circuit is pushed while the circuit's lock is held, so the order is right. The thread that
//! pushed it then calls [`Pending::begin`] without that lock, and there are three cases:
//!
//! 1. No thread is reporting. This thread takes the turn, and reports until nothing is pending.
//! 2. Another thread is reporting. It will also report what this thread pushed, because it looks for more
//!    after each notification and ends its turn only when nothing is left, under the lock of the queue.
//!    This thread goes on at once.
//! 3. Another thread is reporting and has reported its [`SHARE`]. This thread becomes its successor: it
//!    waits until the present notification has been reported, and takes over the turn.
//!
//! The third case keeps a slow listener from holding up one unlucky call for as long as others cause
//! notifications. A thread hands over only to a successor that is waiting already, and the successor takes
//! the turn even if nothing is pending any more. So nothing is left unreported: at every moment at which
//! something is pending, a thread is reporting, or is the successor, or is on its way to `begin`.
//!
//! No thread waits for a thread that may be waiting for it. A thread that is notifying never becomes a
//! successor, so listeners of two breakers that use each other's breaker do not wait for one another.
//! A listener may still wait, in ways that this crate does not see, for the very thread that has become the
//! successor. So a successor gives up after [`PATIENCE`], and what it pushed is reported as in the second
//! case. Until another [`SHARE`] has been reported, no other thread becomes a successor. So a listener that never
//! returns makes one thread wait for that long, once, and no other.
//!
//! # When listeners are too slow
//!
//! At most [`CAPACITY`] notifications are pending. Beyond that the oldest is dropped, and counted. The
//! newest transition is never dropped, so a listener that follows the state ends up with the right one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::notifying::Notifying;
use super::operator::Operator;
use super::reconfiguration::Reconfiguration;
use super::transition::Transition;
use crate::circuit::sync::{Condvar, Mutex, MutexGuard, lock, wait_while};
use crate::machine::OperatorAction;

/// The number of notifications that a thread reports before it hands over to another one. A single call
/// causes four at most. In a model it is small, so that the model gets there.
const SHARE: u32 = if cfg!(tower_breaker_loom) { 1 } else { 8 };

/// The greatest number of notifications that are pending. It bounds the memory, and the time for which the
/// last of many threads reports what all of them have caused.
const CAPACITY: usize = 64;

/// How long a successor waits for its turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is reported in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Notification {
    Transition(Transition),
    OperatorAction(OperatorAction, Option<Arc<Operator>>),
    Reconfigured(Reconfiguration, Option<Arc<Operator>>),
    ProbeTimedOut,
    Recovering(Duration),
    Missed(Missed),
}

/// How much was dropped since the last notification.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Missed {
    /// All notifications, transitions included.
    pub(super) events: u64,
    pub(super) transitions: u64,
}

#[derive(Default)]
pub(super) struct Pending {
    queue: Mutex<Queue>,
    handed_over: Condvar,
}

#[derive(Default)]
struct Queue {
    notifications: VecDeque<Notification>,
    missed: Missed,
    turn: Turn,
}

/// Whose turn it is to report.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Turn {
    #[default]
    Nobody,
    /// A thread is reporting, and has reported this many notifications.
    Taken { reported: u32 },
    /// The same, and another thread waits to take over.
    Wanted,
    /// The thread that waits has to take over.
    HandedOver,
}

impl Pending {
    pub(super) fn push(&self, notification: Notification) {
        lock(&self.queue).push(notification);
    }

    /// Begins to report what is pending. Returns `None` if another thread does so.
    pub(super) fn begin(&self) -> Option<Reporting<'_>> {
        let mut queue = lock(&self.queue);
        let has_turn = match queue.turn {
            Turn::Nobody => true,
            Turn::Taken { reported } if reported >= SHARE && !Notifying::is_this_thread() => {
                queue.turn = Turn::Wanted;
                let waits = |queue: &Queue| queue.turn == Turn::Wanted;
                queue = wait_while(&self.handed_over, queue, PATIENCE, waits);
                if queue.turn == Turn::Wanted {
                    queue.turn = Turn::Taken { reported: 0 };
                }
                queue.turn == Turn::HandedOver
            }
            Turn::Taken { .. } | Turn::Wanted | Turn::HandedOver => false,
        };
        has_turn.then(|| {
            queue.turn = Turn::Taken { reported: 0 };
            Reporting { pending: self, is_over: false, _notifying: Notifying::begin() }
        })
    }

    /// Ends the turn of the thread that reports.
    fn end(&self, mut queue: MutexGuard<'_, Queue>) {
        let is_wanted = queue.turn == Turn::Wanted;
        queue.turn = if is_wanted { Turn::HandedOver } else { Turn::Nobody };
        drop(queue);
        if is_wanted {
            self.handed_over.notify_one();
        }
    }
}

impl Queue {
    fn push(&mut self, notification: Notification) {
        self.notifications.push_back(notification);
        if self.notifications.len() > CAPACITY {
            let is_transition = |n: &Notification| matches!(n, Notification::Transition(_));
            let newest_transition = self.notifications.iter().rposition(is_transition);
            let oldest = usize::from(newest_transition == Some(0));
            let dropped = self.notifications.remove(oldest);
            self.missed.events += 1;
            self.missed.transitions += u64::from(dropped.as_ref().is_some_and(is_transition));
        }
    }

    /// Returns what the thread that reports has to report next, or `None` if its turn ends.
    fn next(&mut self) -> Option<Notification> {
        let Turn::Taken { reported } = &mut self.turn else { return None };
        *reported = reported.saturating_add(1);
        if self.missed.events > 0 {
            return Some(Notification::Missed(std::mem::take(&mut self.missed)));
        }
        self.notifications.pop_front()
    }
}

/// The turn of the current thread: an iterator over what it has to report.
pub(super) struct Reporting<'a> {
    pending: &'a Pending,
    is_over: bool,
    _notifying: Notifying,
}

impl Iterator for Reporting<'_> {
    type Item = Notification;

    fn next(&mut self) -> Option<Notification> {
        if self.is_over {
            return None;
        }
        let mut queue = lock(&self.pending.queue);
        let next = queue.next();
        if next.is_none() {
            self.is_over = true;
            self.pending.end(queue);
        }
        next
    }
}

/// A turn ends even if reporting panics. Then the next thread that comes reports what is left.
impl Drop for Reporting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.pending.end(lock(&self.pending.queue));
        }
    }
}

#[cfg(test)]
mod tests;
