//! [`Call`]: a call that is replayed.

use std::sync::Arc;
use std::time::Duration;

use crate::machine::{Report, nanos};
use crate::observe::Ending;

/// Times of a trace beyond this are taken as this, so that times can be added. It is longer than any recording.
pub(super) const LONGEST: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// A call of a [`Trace`](super::Trace).
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::Ending;
/// use tower_breaker::replay::Call;
///
/// let call = Call::new(Duration::from_secs(1), Ending::Failure, Duration::from_millis(20))
///     .with_key("payments")
///     .with_retry_after(Duration::from_secs(5));
/// assert_eq!(&*call.key, "payments");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// When the call began, since the beginning of the trace. At most 20 years.
    pub at: Duration,
    /// Which circuit the call belongs to. A recorder stores the name of the breaker.
    pub key: Arc<str>,
    /// How the call ended, or `None` if nobody knows, because a breaker rejected it.
    pub ending: Option<Ending>,
    /// How long the call took. At most 20 years.
    pub duration: Duration,
    /// For how long the dependency asked not to be called again, if the call failed and it did.
    pub retry_after: Option<Duration>,
}

impl Call {
    /// Creates a call without a key and without a retry-after.
    #[must_use]
    pub fn new(at: Duration, ending: Ending, duration: Duration) -> Self {
        Self { at, key: Arc::default(), ending: Some(ending), duration, retry_after: None }
    }

    /// Creates a call that a breaker rejected, so that nobody knows how it would have ended. It has no key.
    #[must_use]
    pub fn rejected(at: Duration) -> Self {
        let duration = Duration::ZERO;
        Self { at, key: Arc::default(), ending: None, duration, retry_after: None }
    }

    /// Returns the same call with a [key](Self::key).
    #[must_use]
    pub fn with_key(self, key: impl Into<Arc<str>>) -> Self {
        Self { key: key.into(), ..self }
    }

    /// Returns the same call with a [retry-after](Self::retry_after).
    #[must_use]
    pub fn with_retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// Returns what the machine is told when the call ends.
    pub(super) fn report(&self) -> Report {
        let retry_after = self.retry_after.map_or(0, nanos);
        match self.ending {
            Some(Ending::Success) => Report::Success,
            Some(Ending::Failure) if retry_after > 0 => Report::FailureRetryAfter(retry_after),
            Some(Ending::Failure) => Report::Failure,
            Some(Ending::SoftFailure) => Report::SoftFailure { retry_after },
            Some(Ending::Abandoned) => Report::GivenUp,
            Some(Ending::Ignored) | None => Report::Ignored,
        }
    }
}
