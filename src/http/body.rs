//! [`ResponseBody`]: a body that settles its call at its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

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
        call: Unsettled<V>,
    }
}

/// A call that has not been settled, or `None` once it has.
struct Unsettled<V: EndOfStream>(Option<Call<V>>);

struct Call<V> {
    permit: Permit,
    verdict: V,
    /// The last [sign of life](Permit::sign_of_life).
    last_sign: Tick,
}

impl<V: EndOfStream> Drop for Unsettled<V> {
    fn drop(&mut self) {
        if let Some(Call { permit, verdict, last_sign }) = self.0.take() {
            if let Some(permit) = permit.unless_silent(last_sign) {
                verdict.dropped(permit);
            }
        }
    }
}

impl<B: Body, V: EndOfStream> ResponseBody<B, V> {
    /// Wraps a body that settles the call of `permit`. If the body has already ended, the call is settled
    /// at once.
    pub fn new(body: B, permit: Permit, verdict: V) -> Self {
        // A reader that asks `is_end_stream` first never polls such a body.
        if body.is_end_stream() {
            verdict.end(None, permit);
            return body.into();
        }
        let last_sign = permit.sign_of_life();
        Self { body, call: Unsettled(Some(Call { permit, verdict, last_sign })) }
    }
}

impl<B, V: EndOfStream> From<B> for ResponseBody<B, V> {
    fn from(body: B) -> Self {
        Self { body, call: Unsettled(None) }
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

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(Call { permit, verdict, last_sign }) = this.call.0.take() else {
            return this.body.poll_frame(cx);
        };
        let ((poll, is_last), permit) = permit.failing_on_panic(|| {
            let poll = this.body.as_mut().poll_frame(cx);
            let is_frame = matches!(poll, Poll::Ready(Some(Ok(_))));
            // A reader may stop polling once the body says that it has ended.
            (poll, is_frame && this.body.is_end_stream())
        });
        match &poll {
            Poll::Ready(None) => verdict.end(None, permit),
            Poll::Ready(Some(Err(_))) => permit.failure(),
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {
                verdict.end(frame.trailers_ref(), permit);
            }
            Poll::Ready(Some(Ok(_))) if is_last => verdict.end(None, permit),
            Poll::Ready(Some(Ok(_))) => {
                let last_sign = permit.sign_of_life();
                this.call.0 = Some(Call { permit, verdict, last_sign });
            }
            Poll::Pending => this.call.0 = Some(Call { permit, verdict, last_sign }),
        }
        poll
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
        assert_eq!(read(timed.clone()), 0);
        assert_ne!(read(timed.abandoned_after(Duration::MAX)), 0);
    }
}
