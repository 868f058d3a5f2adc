//! [`Trace`]: the calls that are replayed.

use std::borrow::Cow;
use std::sync::Arc;

use super::call::{Call, LONGEST};
use super::recording::Recording;

/// Calls, in the order in which they began.
///
/// A trace is read from a [file](Self::read_csv), collected from calls, or filled by a [`Recorder`](super::Recorder). In
/// the last case it grows, and each method sees what has been recorded up to then.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::replay::{Call, Trace};
/// use tower_breaker::Ending;
///
/// let each_second = (0..60).map(Duration::from_secs);
/// let took = Duration::from_millis(20);
/// let trace: Trace = each_second.map(|at| Call::new(at, Ending::Success, took)).collect();
/// assert_eq!(trace.calls().len(), 60);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Trace(Source);

#[derive(Debug, Clone)]
enum Source {
    Calls(Vec<Call>),
    Recording(Arc<Recording>),
}

impl Default for Source {
    fn default() -> Self {
        Self::Calls(Vec::new())
    }
}

impl Trace {
    pub(super) fn recorded(recording: Arc<Recording>) -> Self {
        Self(Source::Recording(recording))
    }

    /// Returns the calls, in the order in which they began. Those of a recorder are copied.
    #[must_use]
    pub fn calls(&self) -> Cow<'_, [Call]> {
        match &self.0 {
            Source::Calls(calls) => calls.into(),
            Source::Recording(recording) => sorted(recording.calls()).into(),
        }
    }

    /// Returns how many calls a recorder has dropped, because it had no room for them or for their key.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        match &self.0 {
            Source::Calls(_) => 0,
            Source::Recording(recording) => recording.dropped(),
        }
    }
}

/// Sorts the calls by the time at which they began. Calls that began at the same time keep their order. Times and
/// durations beyond 20 years are taken as 20 years.
impl FromIterator<Call> for Trace {
    fn from_iter<I: IntoIterator<Item = Call>>(calls: I) -> Self {
        Self(Source::Calls(sorted(calls.into_iter().collect())))
    }
}

fn sorted(mut calls: Vec<Call>) -> Vec<Call> {
    for call in &mut calls {
        call.at = call.at.min(LONGEST);
        call.duration = call.duration.min(LONGEST);
        call.retry_after = call.retry_after.map(|wait| wait.min(LONGEST));
    }
    calls.sort_by_key(|call| call.at);
    calls
}
