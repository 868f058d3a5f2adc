//! What can go wrong: a call that was turned away, a call that failed, a setting that cannot be.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::clock::{self, NEVER, Tick};
use crate::listeners::Name;

/// The boxed error of Tower's middleware.
type BoxError = Box<dyn Error + Send + Sync>;

/// The error of a call through a breaker: the breaker turned it away, or the inner service failed.
///
/// `E` is not bounded, so a breaker fits around any service. Match on it where it is handled at
/// once. Where layers box their errors it turns into a `BoxError` without leaving
/// a trace: [`Inner`](Self::Inner) becomes what the inner service returned, so a
/// `downcast_ref::<tower::timeout::error::Elapsed>()` on the outside works, however many breakers
/// are in between.
///
/// That conversion is why it does not implement [`std::error::Error`]: Rust does not allow both.
/// Use [`Rejected`], which does, or the boxed form.
///
/// # Example
/// ```
/// use tower_breaker::{CircuitBreaker, CircuitBreakerError};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let breaker = CircuitBreaker::new("payments");
/// match breaker.call(async { Err::<(), _>("refused") }).await {
///     Ok(()) => println!("paid"),
///     Err(CircuitBreakerError::Rejected(rejected)) => println!("not now: {rejected}"),
///     Err(CircuitBreakerError::Inner(error)) => println!("failed: {error}"),
/// }
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CircuitBreakerError<E> {
    /// The breaker turned the call away; the inner service was not called.
    Rejected(Rejected),
    /// What the inner service returned.
    Inner(E),
}

impl<E> CircuitBreakerError<E> {
    /// The rejection, if it is one: what a retry policy asks, since a rejected call is safe to retry
    /// but not worth it before [`Rejected::retry_after`].
    #[must_use]
    pub fn rejected(&self) -> Option<&Rejected> {
        match self {
            Self::Rejected(rejected) => Some(rejected),
            Self::Inner(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for CircuitBreakerError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E> From<Rejected> for CircuitBreakerError<E> {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl<E: Into<BoxError>> From<CircuitBreakerError<E>> for BoxError {
    fn from(error: CircuitBreakerError<E>) -> Self {
        match error {
            CircuitBreakerError::Rejected(rejected) => rejected.into(),
            CircuitBreakerError::Inner(error) => error.into(),
        }
    }
}

/// A call was turned away: the inner service was not called, and the call is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    breaker: Name,
    refusal: Refusal,
}

/// Every `Result` of a protected call has room for it.
const _: () = assert!(size_of::<Rejected>() <= 16);

impl Rejected {
    pub(crate) fn new(breaker: Name, refusal: Refusal) -> Self {
        Self { breaker, refusal }
    }

    /// The name of the breaker that rejected the call.
    #[must_use]
    pub fn breaker(&self) -> &str {
        &self.breaker
    }

    /// Why it did.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        self.refusal.reason()
    }

    /// How long it is, from now on, until the next probe may be admitted, by what was known at the
    /// rejection; zero when that is over. `None` when forced open, which only an operator ends.
    ///
    /// While open, this is the rest of the wait. While half-open, it is the longest that it can
    /// take, which is when the probes in flight never report: the rest of the oldest one's
    /// [`probe_timeout`](crate::CircuitBreakerBuilder::probe_timeout) and the open period after it.
    ///
    /// To the nanosecond, up to a time 146 years after the first breaker of the process; any later time
    /// counts as never, and is given as 584 years.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal.retry_after()
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (breaker, reason) = (self.breaker(), self.reason());
        write!(f, "circuit breaker `{breaker}` rejected the call: {reason}")?;
        match (reason, self.retry_after()) {
            (RejectReason::Open, Some(wait)) => write!(f, ", next probe in {wait:.1?}"),
            _ => Ok(()),
        }
    }
}

impl Error for Rejected {}

/// Why a call was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// The circuit is open and its wait is not over.
    Open,
    /// The circuit is half-open and has all the probes it admits.
    HalfOpen,
    /// An operator holds the circuit open: see
    /// [`force_open`](crate::CircuitBreaker::force_open).
    ForcedOpen,
}

impl RejectReason {
    /// Its name in snake case, such as `half_open`: what metrics and logs call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "the circuit is open",
            Self::HalfOpen => "the circuit is half-open and has no probe to give",
            Self::ForcedOpen => "the circuit is forced open",
        })
    }
}

/// A rejection before it has a name: what the state machine says.
///
/// It is the time until which no probe is admitted, with a bit that says whether the circuit is
/// half-open, or nothing if it is forced open. In one word, because what is written in parts and then
/// moved as a whole makes the processor wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(u64);

impl Refusal {
    pub(crate) const FORCED_OPEN: Self = Self(0);
    const HALF_OPEN: u64 = 1 << 63;
    /// This or any later time, which is 146 years after the first breaker of the process.
    const LATEST: Tick = Self::HALF_OPEN - 1;

    pub(crate) fn open(until: Tick) -> Self {
        Self(until.min(Self::LATEST))
    }

    pub(crate) fn half_open(until: Tick) -> Self {
        Self(Self::open(until).0 | Self::HALF_OPEN)
    }

    fn reason(self) -> RejectReason {
        match self {
            Self::FORCED_OPEN => RejectReason::ForcedOpen,
            Self(word) if word >= Self::HALF_OPEN => RejectReason::HalfOpen,
            _ => RejectReason::Open,
        }
    }

    pub(crate) fn retry_after(self) -> Option<Duration> {
        let wait = match self.0 & !Self::HALF_OPEN {
            _ if self == Self::FORCED_OPEN => return None,
            Self::LATEST => NEVER,
            until => until.saturating_sub(clock::now()),
        };
        Some(Duration::from_nanos(wait))
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.reason())
    }
}

/// A setting that cannot be; from [`CircuitBreakerBuilder::build`].
///
/// Its message names the setting, the value and what is allowed.
///
/// # Example
/// ```
/// let error = tower_breaker::CircuitBreaker::builder("payments")
///     .failure_rate_threshold(50.0)
///     .build()
///     .unwrap_err();
///
/// assert_eq!(
///     error.to_string(),
///     "invalid `failure_rate_threshold`: 50 (allowed: a rate greater than 0 and at most 1)"
/// );
/// ```
///
/// [`CircuitBreakerBuilder::build`]: crate::CircuitBreakerBuilder::build
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    value: String,
    allowed: &'static str,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, value: String, allowed: &'static str) -> Self {
        Self { setting, value, allowed }
    }

    /// The builder method that set it.
    #[must_use]
    pub fn setting(&self) -> &str {
        self.setting
    }

    /// The value that was set.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What is allowed.
    #[must_use]
    pub fn allowed(&self) -> &str {
        self.allowed
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value, allowed } = self;
        write!(f, "invalid `{setting}`: {value} (allowed: {allowed})")
    }
}

impl Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_says_why_and_until_when() {
        let at = clock::now() + 5;
        let of = |refusal: Refusal| (refusal.reason(), refusal.retry_after());
        let wait = Some(Duration::from_nanos(5));

        assert_eq!(of(Refusal::open(at)), (RejectReason::Open, wait));
        assert_eq!(of(Refusal::half_open(at)), (RejectReason::HalfOpen, wait));
        assert_eq!(of(Refusal::FORCED_OPEN), (RejectReason::ForcedOpen, None));
    }

    #[test]
    fn a_wait_without_end_does_not_change_the_reason() {
        let never = Some(Duration::from_nanos(NEVER));
        for (refusal, reason) in [
            (Refusal::open(NEVER), RejectReason::Open),
            (Refusal::half_open(NEVER), RejectReason::HalfOpen),
        ] {
            assert_eq!((refusal.reason(), refusal.retry_after()), (reason, never));
        }
    }
}
