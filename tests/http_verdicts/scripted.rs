//! A body that does as it is told.

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

/// What a body returns when it is polled. After the last step it returns `None`.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Pending,
    /// Pending until the gate is open.
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

/// Keeps a server from going on before its client has seen what it has sent so far. Each opening
/// lets one body through.
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
    /// Whether it knows that it has ended before it is asked for a frame.
    pub(crate) tells_its_end: bool,
    pub(crate) hint: SizeHint,
}

impl Scripted {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps = steps.into_iter().collect();
        Self { steps, tells_its_end: false, hint: SizeHint::default() }
    }

    pub(crate) fn that_tells_its_end(mut self) -> Self {
        self.tells_its_end = true;
        self
    }
}

/// The error of a [`Scripted`] body.
#[derive(Debug, PartialEq)]
pub(crate) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off")
    }
}

impl Error for BrokenOff {}

impl Body for Scripted {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(Step::Wait(Gate(gate))) = self.steps.front() {
            if !gate.swap(false, Ordering::Relaxed) {
                cx.waker().wake_by_ref(); // asks again and again
                return Poll::Pending;
            }
            self.steps.pop_front();
        }
        match self.steps.pop_front() {
            Some(Step::Pending | Step::Wait(_)) => Poll::Pending,
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Step::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Step::Error) => Poll::Ready(Some(Err(BrokenOff))),
            Some(Step::Panic) => panic!("as told"),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.tells_its_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

/// What [`poll`] has seen: pending, the end, a frame or an error.
pub(crate) type Seen = Poll<Option<Result<Result<Bytes, HeaderMap>, BrokenOff>>>;

/// Polls a body once.
pub(crate) fn poll<B>(body: &mut B) -> Seen
where
    B: Body<Data = Bytes, Error = BrokenOff> + Unpin,
{
    let frame = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    frame.map_ok(|frame| {
        frame.into_data().map_err(|frame| frame.into_trailers().expect("one or the other"))
    })
}
