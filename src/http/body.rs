//! [`ResponseBody`]: a body that settles its call at its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::HeaderMap;
use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::first::{First, Stopwatch};
use crate::circuit::Permit;
use crate::machine::Tick;

/// Settles a call by how its response body ends.
///
/// A [`ResponseBody`] calls at most one of the two methods, once. If the body returns an error or panics, the
/// call has failed and neither method is called. As with a [`Classifier`](crate::Classifier), no lock is held
/// meanwhile, and a panic abandons the call.
///
/// # Example
/// A classifier for a server that sends a checksum in its trailers:
/// ```
/// use http::{HeaderMap, Response};
/// use http_body::Body;
/// use tower_breaker::http::{EndOfStream, ResponseBody};
/// use tower_breaker::{Classifier, Permit};
///
/// #[derive(Clone)]
/// struct ChecksumExpected;
///
/// impl EndOfStream for ChecksumExpected {
///     fn end(self, trailers: Option<&HeaderMap>, permit: Permit) {
///         match trailers {
///             Some(trailers) if trailers.contains_key("x-checksum") => permit.success(),
///             _ => permit.failure(),
///         }
///     }
/// }
///
/// impl<B: Body, E> Classifier<Response<B>, E> for ChecksumExpected {
///     type Response = Response<ResponseBody<B, Self>>;
///
///     fn response(&self, response: Response<B>, permit: Permit) -> Self::Response {
///         response.map(|body| ResponseBody::new(body, permit, self.clone()))
///     }
///
///     fn error(&self, _: &E, permit: Permit) {
///         permit.failure();
///     }
/// }
/// ```
pub trait EndOfStream: Sized {
    /// Settles the call after its body was read to the end. `trailers` are those of the body, if it has
    /// any.
    fn end(self, trailers: Option<&HeaderMap>, permit: Permit);

    /// Settles the call after its body was dropped before the end. The default implementation abandons
    /// the call, which is neutral.
    ///
    /// This is not called, and the call has failed, if
    /// [`abandoned_after`](crate::CircuitBreakerBuilder::abandoned_after) is set and at least this time has
    /// passed since the last sign of life: the admission of the call, the response head, or the last frame.
    fn dropped(self, permit: Permit) {
        drop(permit);
    }
}

/// Makes [`HttpClassifier`](super::HttpClassifier) settle a call at the end of its body, if the head is a
/// success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtEndOfStream;

/// Settles a call whose head was a success.
impl EndOfStream for AtEndOfStream {
    fn end(self, _: Option<&HeaderMap>, permit: Permit) {
        permit.success();
    }

    fn dropped(self, permit: Permit) {
        permit.success();
    }
}

pin_project! {
    /// The body of a response to an admitted call. It settles the call when it ends or is dropped; the
    /// [`EndOfStream`] `V` decides how.
    ///
    /// Frames, trailers, size hint and errors are those of the inner body. The response of a fallback has
    /// no call to settle. Convert its body with [`ResponseBody::from`].
    pub struct ResponseBody<B, V: EndOfStream = AtEndOfStream> {
        #[pin]
        body: B,
        unsettled: Unsettled<V>,
    }
}

struct Unsettled<V: EndOfStream> {
    /// `None` once the call has been settled. It stays in place while frames come, because moving it out and
    /// back in takes longer than everything else (`cargo bench --bench body`).
    call: Option<(Permit, V)>,
    /// The last [sign of life](Permit::sign_of_life).
    last_sign: Tick,
    stopwatch: Stopwatch,
}

impl<V: EndOfStream> Unsettled<V> {
    #[inline]
    fn show_sign_of_life(&mut self) {
        if let Some(now) = self.call.as_ref().and_then(|(permit, _)| permit.sign_of_life()) {
            self.last_sign = now;
        }
    }

    /// Looks at a frame before the reader gets it.
    #[inline]
    fn see<D: Buf>(&mut self, frame: &Frame<D>) {
        if self.stopwatch.waits_for_a_frame() {
            self.see_data(frame.data_ref().map_or(&[], D::chunk));
        }
    }

    /// Takes the data, because if this took the frame, every frame would be written to memory, also where nobody
    /// looks at it (`cargo bench --bench body`).
    #[cold]
    fn see_data(&mut self, data: &[u8]) {
        let guard = FailOnPanic(self);
        if let Some((permit, _)) = &guard.0.call {
            guard.0.stopwatch.see(data, permit);
        }
        std::mem::forget(guard); // there was no panic
    }

    /// Returns the call if it has not been settled yet, to be settled now.
    #[inline]
    fn take_call(&mut self) -> Option<(Permit, V)> {
        if let Stopwatch::Stopped(took) = self.stopwatch {
            if let Some((permit, _)) = &mut self.call {
                permit.fix_duration(took);
            }
        }
        self.call.take()
    }

    /// Settles the call by what the body returned last.
    fn end<D: Buf, E>(&mut self, last: Option<&Result<Frame<D>, E>>) {
        if let Some(Ok(frame)) = last {
            self.see(frame);
        }
        match (self.take_call(), last) {
            (Some((permit, _)), Some(Err(_))) => permit.failure(),
            (Some((permit, verdict)), Some(Ok(frame))) => verdict.end(frame.trailers_ref(), permit),
            (Some((permit, verdict)), None) => verdict.end(None, permit),
            (None, _) => {}
        }
    }

    /// Settles the call because polling the body has panicked.
    #[cold]
    fn panicked(&mut self) {
        if let Some((permit, _)) = self.take_call() {
            permit.failure();
        }
    }

    /// Settles the call because the body is dropped before its end.
    #[cold]
    fn dropped(&mut self) {
        let Some((permit, verdict)) = self.take_call() else { return };
        if let Some(permit) = permit.unless_silent(self.last_sign) {
            verdict.dropped(permit);
        }
    }
}

impl<V: EndOfStream> Drop for Unsettled<V> {
    #[inline]
    fn drop(&mut self) {
        if self.call.is_some() {
            self.dropped();
        }
    }
}

/// Settles the call as failed if polling the body panics.
struct FailOnPanic<'a, V: EndOfStream>(&'a mut Unsettled<V>);

impl<V: EndOfStream> Drop for FailOnPanic<'_, V> {
    fn drop(&mut self) {
        self.0.panicked();
    }
}

impl<B: Body, V: EndOfStream> ResponseBody<B, V> {
    /// Wraps a body that settles the call of `permit`. If the body has already ended, the call is settled
    /// at once.
    pub fn new(body: B, permit: Permit, verdict: V) -> Self {
        Self::slow_until(First::End, body, permit, verdict)
    }

    /// Does the same. The duration of the call is fixed at `first`.
    pub(super) fn slow_until(first: First, body: B, mut permit: Permit, verdict: V) -> Self {
        // A reader that asks `is_end_stream` first never polls such a body.
        if body.is_end_stream() {
            verdict.end(None, permit);
            return body.into();
        }
        permit.answered(); // a stream does not hang
        let last_sign = permit.sign_of_life().unwrap_or_default();
        let stopwatch = Stopwatch::at_head(first, &permit);
        Self { body, unsettled: Unsettled { call: Some((permit, verdict)), last_sign, stopwatch } }
    }
}

impl<B, V: EndOfStream> From<B> for ResponseBody<B, V> {
    fn from(body: B) -> Self {
        let stopwatch = Stopwatch::Waiting(First::End);
        Self { body, unsettled: Unsettled { call: None, last_sign: 0, stopwatch } }
    }
}

impl<B: Default, V: EndOfStream> Default for ResponseBody<B, V> {
    fn default() -> Self {
        B::default().into()
    }
}

impl<B: Body, V: EndOfStream> Body for ResponseBody<B, V> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        if this.unsettled.call.is_none() {
            return this.body.poll_frame(cx);
        }
        let guard = FailOnPanic(&mut *this.unsettled);
        let poll = this.body.as_mut().poll_frame(cx);
        // A reader may stop polling once the body says that it has ended.
        let is_last = matches!(poll, Poll::Ready(Some(Ok(_)))) && this.body.is_end_stream();
        std::mem::forget(guard); // there was no panic

        // By value, because by reference every frame would be written to memory twice.
        match poll {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) if !frame.is_trailers() && !is_last => {
                this.unsettled.show_sign_of_life();
                this.unsettled.see(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(last) => {
                this.unsettled.end(last.as_ref());
                Poll::Ready(last)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: fmt::Debug, V: EndOfStream> fmt::Debug for ResponseBody<B, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("body", &self.body).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::breaker::CircuitBreaker;
    use crate::config::CircuitBreakerBuilder;

    #[test]
    fn the_time_of_a_sign_of_life_is_read_only_if_abandoned_after_is_set() {
        let timed = CircuitBreaker::builder("timed").slow_call_duration_threshold(Duration::MAX);
        let read = |builder: CircuitBreakerBuilder| {
            builder.build().unwrap().try_acquire().unwrap().sign_of_life()
        };
        assert_eq!(read(timed.clone()), None);
        assert!(read(timed.abandoned_after(Duration::MAX)).is_some());
    }
}
