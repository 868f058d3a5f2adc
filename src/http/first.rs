//! [`First`]: the moment at which the duration of a call is fixed.

use bytes::Buf;
use http_body::Frame;

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

    /// Looks at a frame of the body. May panic, because it may run code of the user.
    #[inline]
    pub(super) fn see<D: Buf>(&mut self, frame: &Frame<D>, permit: &Permit) {
        let Self::Waiting(first @ (First::Frame | First::FrameThat(_))) = *self else { return };
        let Some(data) = frame.data_ref().map(D::chunk).filter(|data| !data.is_empty()) else {
            return;
        };
        let accepts = match first {
            First::FrameThat(accepts) => accepts,
            _ => |_: &[u8]| true,
        };
        if accepts(data) {
            self.stop(permit);
        }
    }

    fn stop(&mut self, permit: &Permit) {
        *self = permit.elapsed().map_or(Self::Waiting(First::End), Self::Stopped);
    }

    /// Returns the permit of a call that is about to be settled, with the duration that was measured.
    pub(super) fn apply(&self, permit: Permit) -> Permit {
        match *self {
            Self::Waiting(_) => permit,
            Self::Stopped(took) => permit.with_duration(took),
        }
    }
}
