//! A body that follows a script.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Bytes;

/// What a body returns when it is polled. After the last step, it returns `None`.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Pending,
    /// Returns `Pending` until the gate is open.
    Wait(Gate),
    Data(Bytes),
    Trailers(HeaderMap),
    Error,
    Panic,
}

impl Step {
    pub(crate) const fn data(data: &'static str) -> Self {
        Self::Data(Bytes::from_static(data.as_bytes()))
    }

    pub(crate) fn trailers(name: &'static str, value: &'static str) -> Self {
        let (name, value) = (name.parse().unwrap(), HeaderValue::from_static(value));
        Self::Trailers(HeaderMap::from_iter([(name, value)]))
    }
}

/// Makes a server wait until its client has received what was sent so far. Each opening lets one body
/// continue.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    pub(crate) steps: VecDeque<Step>,
    /// Whether the body knows that it has ended before it is polled.
    pub(crate) knows_its_end: bool,
    pub(crate) hint: SizeHint,
}

impl Scripted {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps = steps.into_iter().collect();
        Self { steps, knows_its_end: false, hint: SizeHint::default() }
    }

    pub(crate) fn that_knows_its_end(mut self) -> Self {
        self.knows_its_end = true;
        self
    }
}

/// The error of a [`Scripted`] body.
#[derive(Debug, PartialEq)]
pub(crate) struct BodyFailed;

impl fmt::Display for BodyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body failed")
    }
}

impl Error for BodyFailed {}

impl Body for Scripted {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        if let Some(Step::Wait(Gate(gate))) = self.steps.front() {
            if !gate.swap(false, Ordering::Relaxed) {
                cx.waker().wake_by_ref(); // polls again
                return Poll::Pending;
            }
            self.steps.pop_front();
        }
        match self.steps.pop_front() {
            Some(Step::Pending | Step::Wait(_)) => Poll::Pending,
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Step::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Step::Error) => Poll::Ready(Some(Err(BodyFailed))),
            Some(Step::Panic) => panic!("a panic"),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

/// The result of [`poll`]: pending, the end, a frame, or an error.
pub(crate) type Seen = Poll<Option<Result<Result<Bytes, HeaderMap>, BodyFailed>>>;

/// Polls a body once.
pub(crate) fn poll<B>(body: &mut B) -> Seen
where
    B: Body<Data = Bytes, Error = BodyFailed> + Unpin,
{
    let frame = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    frame.map_ok(|frame| {
        frame
            .into_data()
            .map_err(|frame| frame.into_trailers().expect("a frame is data or trailers"))
    })
}
