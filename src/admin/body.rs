//! Bodies: [`AdminBody`] of responses, and [`AnyBody`] of requests.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// The body of a response of an [`AdminService`](super::AdminService).
pub struct AdminBody(axum::body::Body);

impl AdminBody {
    pub(super) fn new(body: axum::body::Body) -> Self {
        Self(body)
    }
}

impl Body for AdminBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // None of the bodies that are made here can fail.
        Pin::new(&mut self.0).poll_frame(cx).map(|frame| frame.and_then(Result::ok).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for AdminBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminBody").finish_non_exhaustive()
    }
}

pin_project! {
    /// A body with any error.
    pub(super) struct AnyBody<B> {
        #[pin]
        body: B,
    }
}

impl<B> AnyBody<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body }
    }
}

impl<B: Body<Data = Bytes>> Body for AnyBody<B> {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let frame = self.project().body.poll_frame(cx);
        frame.map(|frame| frame.map(|frame| frame.map_err(|_| BrokenOff)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request did not come to its end.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of the request broke off")
    }
}

impl std::error::Error for BrokenOff {}
