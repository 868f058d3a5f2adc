//! [`ResponseBody`]: a body that settles its call at its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::circuit::Permit;

/// What the end of a body says about a call whose head has left it open.
///
/// A body that breaks off, or panics, is a failure and does not come here. As with a
/// [`Classifier`](crate::Classifier), no lock is held, and a panic abandons the call.
///
/// # Example
/// A server that sends a checksum in its trailers:
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
    /// Settles the call: its body was read to its end, and these are its trailers, if it has any.
    fn end(self, trailers: Option<&HeaderMap>, permit: Permit);

    /// Settles the call: its body was dropped before its end. By default it is abandoned.
    fn dropped(self, permit: Permit) {
        drop(permit);
    }
}

/// The verdict of a head that is a success is given at the end of the body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtEndOfStream;

/// Of a response whose head was a success.
impl EndOfStream for AtEndOfStream {
    fn end(self, _: Option<&HeaderMap>, permit: Permit) {
        permit.success();
    }

    fn dropped(self, permit: Permit) {
        permit.success();
    }
}

pin_project! {
    /// The body of a response that was admitted: it settles the call at its end, or when it is
    /// dropped. `V` says how.
    ///
    /// Frames, trailers, size hint and errors are those of the inner body. For a fallback, which has
    /// no call to settle, make it [from](Self::from) the body alone.
    pub struct ResponseBody<B, V: EndOfStream = AtEndOfStream> {
        #[pin]
        body: B,
        call: Unsettled<V>,
    }
}

/// A call, until it is settled.
struct Unsettled<V: EndOfStream>(Option<(Permit, V)>);

impl<V: EndOfStream> Drop for Unsettled<V> {
    fn drop(&mut self) {
        if let Some((permit, verdict)) = self.0.take() {
            verdict.dropped(permit);
        }
    }
}

impl<B: Body, V: EndOfStream> ResponseBody<B, V> {
    /// Lets a body settle the call, at once if there is nothing to read.
    pub fn new(body: B, permit: Permit, verdict: V) -> Self {
        // Who reads it may ask the body whether there is anything to read, and never poll it.
        if body.is_end_stream() {
            verdict.end(None, permit);
            return body.into();
        }
        Self { body, call: Unsettled(Some((permit, verdict))) }
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
        let Some((permit, verdict)) = this.call.0.take() else {
            return this.body.poll_frame(cx);
        };
        let ((poll, is_last), permit) = permit.failing_on_panic(|| {
            let poll = this.body.as_mut().poll_frame(cx);
            let is_frame = matches!(poll, Poll::Ready(Some(Ok(_))));
            // Who reads it may stop when the body says that it has no more.
            (poll, is_frame && this.body.is_end_stream())
        });
        match &poll {
            Poll::Ready(None) => verdict.end(None, permit),
            Poll::Ready(Some(Err(_))) => permit.failure(),
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {
                verdict.end(frame.trailers_ref(), permit);
            }
            Poll::Ready(Some(Ok(_))) if is_last => verdict.end(None, permit),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => this.call.0 = Some((permit, verdict)),
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
