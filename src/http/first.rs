//! [`First`]: the moment at which the duration of a call is fixed.

use crate::circuit::Permit;
use crate::machine::Nanos;

/// The moment at which the duration of a call is fixed. See
/// [`HttpClassifier::slow_until`](super::HttpClassifier::slow_until).
///
/// If the body ends before the moment has come, the call lasts until this end.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub enum First {
    /// The end of the body, or the moment at which its caller drops it. This is the default.
    #[default]
    End,
    /// The response head.
    Head,
    /// The first frame of the body that contains data. Trailers do not count.
    Frame,
    /// The first frame of the body whose data this function accepts.
    ///
    /// The function gets the data of one frame after the other, until it returns `true`. Frames without data and
    /// trailers are left out. If the function panics, the call has failed and the panic goes on, as with a body that
    /// panics.
    ///
    /// The network decides where a frame ends. One frame may contain several lines, for example a comment of
    /// server-sent events and the data that follows it, and one line may be spread over several frames. If the data
    /// of a frame is not contiguous in memory, the function gets only the first piece. hyper and axum return
    /// [`Bytes`](bytes::Bytes), which are contiguous.
    FrameThat(fn(&[u8]) -> bool),
}

/// Measures how long a call takes until the moment that the user has chosen.
#[derive(Clone, Copy)]
pub(super) enum Stopwatch {
    Waiting(First),
    Stopped(Nanos),
}

impl Stopwatch {
    /// Creates a stopwatch for a call whose head has just arrived.
    pub(super) fn at_head(first: First, permit: &Permit) -> Self {
        let mut stopwatch = Self::Waiting(first);
        if matches!(first, First::Head) {
            stopwatch.stop(permit);
        }
        stopwatch
    }

    /// Returns whether the moment may come with a frame.
    #[inline]
    pub(super) fn waits_for_a_frame(&self) -> bool {
        matches!(self, Self::Waiting(First::Frame | First::FrameThat(_)))
    }

    /// Looks at the data of a frame. May panic, because it may run code of the user.
    pub(super) fn see(&mut self, data: &[u8], permit: &Permit) {
        let is_first = match *self {
            Self::Waiting(First::Frame) => !data.is_empty(),
            Self::Waiting(First::FrameThat(accepts)) => !data.is_empty() && accepts(data),
            _ => false,
        };
        if is_first {
            self.stop(permit);
        }
    }

    fn stop(&mut self, permit: &Permit) {
        *self = permit.elapsed().map_or(Self::Waiting(First::End), Self::Stopped);
    }
}
