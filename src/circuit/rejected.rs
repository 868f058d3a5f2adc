//! [`Rejected`].

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Escaped, clock};
use crate::machine::{NEVER, Refusal, RejectReason, Tick};

/// The shared name of a breaker, behind a pointer of one word. A name of two words would pass through
/// memory wherever a rejection is moved (`cargo bench --bench rejection`).
pub(crate) type Name = Arc<Arc<str>>;

/// The error of a call that the circuit rejected. The inner service was not called, and the circuit does not
/// count the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    breaker: Name,
    refusal: Refusal,
}

// Every `Result` of a protected call is large enough for a rejection.
const _: () = assert!(size_of::<Rejected>() <= 16);

impl Rejected {
    pub(crate) fn new(breaker: Name, refusal: Refusal) -> Self {
        Self { breaker, refusal }
    }

    /// Returns the name of the breaker that rejected the call, as it was given. `Display` escapes it.
    #[must_use]
    pub fn breaker(&self) -> &str {
        &self.breaker
    }

    /// Returns why the call was rejected.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        self.refusal.reason()
    }

    /// Returns how long it takes, from now on, until the next probe may be admitted, as far as that was
    /// known when the call was rejected. Returns zero once that time has passed, and `None` if the circuit
    /// was forced open and only an operator ends that.
    ///
    /// While open, this is the rest of the open period, or of the
    /// [time for which it is forced open](crate::CircuitBreaker::force_open_for). While half-open, it is the open
    /// period that would follow if the probes in flight failed now. While the circuit
    /// [recovers](crate::HalfOpen::ramp), it is a tenth of the ramp or what is left of it, if that is less.
    ///
    /// The value is exact to the nanosecond for times up to 73 years after the first breaker of the
    /// process was built. Any later time counts as never, and is returned as 584 years.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal.until().map(time_until)
    }

    /// Returns [`retry_after`](Self::retry_after) as a header such as HTTP's `Retry-After` needs it: in
    /// whole seconds, rounded up, and at least 1.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let wait = self.retry_after()?;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Some(seconds.max(1))
    }
}

/// Returns how long it takes until `at`.
pub(crate) fn time_until(at: Tick) -> Duration {
    let nanos = if at == NEVER { NEVER } else { at.saturating_sub(clock::now()) };
    Duration::from_nanos(nanos)
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (breaker, reason) = (Escaped(self.breaker()), self.reason());
        write!(f, "circuit breaker `{breaker}` rejected the call: {reason}")?;
        match (reason, self.retry_after()) {
            (RejectReason::Open | RejectReason::ForcedOpen, Some(wait)) => {
                write!(f, ", next probe in {wait:.1?}")
            }
            _ => Ok(()),
        }
    }
}

impl Error for Rejected {}
