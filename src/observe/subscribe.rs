//! A stream of transitions, for code that waits for them.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures_core::Stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::transition::Transition;
use crate::circuit::catch_panic;

/// So many transitions are kept for subscribers that are slow.
const KEPT: usize = 16;

/// The sending half, made for the first subscriber.
#[derive(Default)]
pub(crate) struct Subscribers(OnceLock<Sender<Transition>>);

impl Subscribers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.get().is_none_or(|sender| sender.receiver_count() == 0)
    }

    pub(crate) fn subscribe(&self) -> Transitions {
        Transitions { next: next(self.0.get_or_init(|| channel(KEPT).0).subscribe()) }
    }

    pub(crate) fn send(&self, transition: Transition) {
        if let Some(sender) = self.0.get() {
            let _ = sender.send(transition); // an error says that nobody is there
        }
    }
}

/// The transitions of a circuit as they happen; from
/// [`CircuitBreaker::subscribe`](crate::CircuitBreaker::subscribe).
///
/// It is a [`Stream`], and has [`next`](Self::next) for those who need no more. It ends when the
/// breaker is gone. The last 16 transitions are kept for a subscriber that is slow; one that is
/// slower is told how many it missed, and keeps nobody waiting.
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
/// let transition = transitions.next().await.expect("the breaker lives").expect("one is not many");
/// assert_eq!(transition.to(), State::Open);
/// # });
/// ```
pub struct Transitions {
    next: Next,
}

/// Tokio's receiver has no `poll` of its own, so it is kept in the future that waits for the next.
type Next = Pin<Box<dyn Future<Output = (Received, Receiver<Transition>)> + Send + Sync>>;
type Received = Result<Transition, RecvError>;

fn next(mut receiver: Receiver<Transition>) -> Next {
    Box::pin(async move { (receiver.recv().await, receiver) })
}

/// The waker of a subscriber. Tokio wakes several in a row, and a panic would keep the rest asleep.
struct PanicsCaught(Waker);

impl Wake for PanicsCaught {
    fn wake(self: Arc<Self>) {
        catch_panic(|| self.0.wake_by_ref());
    }
}

impl Transitions {
    /// The next transition; `None` when the breaker is gone. Cancel safe.
    ///
    /// # Errors
    /// [`Lagged`] if some were missed; then the oldest that is still kept comes next.
    pub async fn next(&mut self) -> Option<Result<Transition, Lagged>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Transitions {
    type Item = Result<Transition, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let waker = Waker::from(Arc::new(PanicsCaught(cx.waker().clone())));
        let mut cx = Context::from_waker(&waker);
        let (received, receiver) = ready!(self.next.as_mut().poll(&mut cx));
        self.next = next(receiver);
        Poll::Ready(match received {
            Ok(transition) => Some(Ok(transition)),
            Err(RecvError::Lagged(missed)) => Some(Err(Lagged { missed })),
            Err(RecvError::Closed) => None,
        })
    }
}

impl fmt::Debug for Transitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transitions").finish_non_exhaustive()
    }
}

/// A subscriber was too slow; from [`Transitions::next`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged {
    missed: u64,
}

impl Lagged {
    /// How many transitions it missed.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "missed {} transitions", self.missed)
    }
}

impl Error for Lagged {}
