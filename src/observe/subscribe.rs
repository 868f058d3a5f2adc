//! [`Transitions`]: a stream of transitions, for code that waits for them.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::transition::Transition;
use crate::circuit::catching_waker;

/// The number of transitions that are kept for slow subscribers.
const KEPT: usize = 16;

/// The sending half of the stream. It is created for the first subscriber.
#[derive(Default)]
pub(super) struct Subscribers(OnceLock<Sender<Item>>);

/// `Err` says that transitions were dropped before they could be sent.
type Item = Result<Transition, Lagged>;

impl Subscribers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.get().is_none_or(|sender| sender.receiver_count() == 0)
    }

    pub(super) fn subscribe(&self) -> Transitions {
        Transitions { next: next(self.0.get_or_init(|| channel(KEPT).0).subscribe()) }
    }

    pub(super) fn send(&self, item: Item) {
        if let Some(sender) = self.0.get() {
            let _ = sender.send(item); // an error means that there are no subscribers
        }
    }
}

/// A stream of the transitions of a circuit, returned by
/// [`CircuitBreaker::subscribe`](crate::CircuitBreaker::subscribe).
///
/// It implements [`Stream`]. If you only need the next transition, call [`next`](Self::next). The stream
/// ends once every handle to the breaker has been dropped.
///
/// The last 16 transitions are kept for a slow subscriber. A subscriber that is even slower misses
/// transitions and receives [`Lagged`] in their place. It does not delay anything else. It also receives
/// `Lagged` if [listeners](crate::Listener#order) are so slow that transitions are dropped.
///
/// # Example
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use tower_breaker::{CircuitBreaker, State};
///
/// let breaker = CircuitBreaker::new("payments");
/// let mut transitions = breaker.subscribe();
/// breaker.trip();
///
/// let transition = transitions.next().await.expect("the breaker is alive").expect("none was missed");
/// assert_eq!(transition.to(), State::Open);
/// # });
/// ```
pub struct Transitions {
    next: Next,
}

/// Tokio's receiver has no `poll` method, so the receiver lives in the future that waits for the next
/// transition.
type Next = Pin<Box<dyn Future<Output = (Result<Item, RecvError>, Receiver<Item>)> + Send + Sync>>;

fn next(mut receiver: Receiver<Item>) -> Next {
    Box::pin(async move { (receiver.recv().await, receiver) })
}

impl Transitions {
    /// Waits for the next transition. Returns `None` once every handle to the breaker has been dropped.
    ///
    /// Cancel safety: dropping the future misses no transition.
    ///
    /// # Errors
    /// Returns [`Lagged`] if transitions were missed. The oldest one that is still kept comes next.
    pub async fn next(&mut self) -> Option<Result<Transition, Lagged>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Transitions {
    type Item = Result<Transition, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let waker = catching_waker(cx.waker());
        let mut cx = Context::from_waker(&waker);
        let (received, receiver) = ready!(self.next.as_mut().poll(&mut cx));
        self.next = next(receiver);
        Poll::Ready(match received {
            Ok(item) => Some(item),
            Err(RecvError::Lagged(missed)) => Some(Err(Lagged::new(missed))),
            Err(RecvError::Closed) => None,
        })
    }
}

impl fmt::Debug for Transitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transitions").finish_non_exhaustive()
    }
}

/// Transitions were missed, because the subscriber or a listener was too slow. [`Transitions`] returns it in
/// their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged {
    missed: u64,
}

impl Lagged {
    pub(super) fn new(missed: u64) -> Self {
        Self { missed }
    }

    /// Returns how many transitions were missed.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.missed {
            1 => f.write_str("missed 1 transition"),
            n => write!(f, "missed {n} transitions"),
        }
    }
}

impl Error for Lagged {}
