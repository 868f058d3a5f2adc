//! [`HalfOpen`]: how many probes are admitted, how their results open or close the circuit, and what follows.

use std::time::Duration;

use super::counts::Counts;

/// How many probes are admitted while half-open, and how their results open or close the circuit.
///
/// # Default
/// [`HalfOpen::consecutive_successes`] of 3.
///
/// # Example
/// ```
/// use tower_breaker::{CircuitBreaker, HalfOpen};
///
/// let breaker = CircuitBreaker::builder("payments")
///     .failure_rate_threshold(0.5)
///     .half_open(HalfOpen::sample(10)) // closes with up to 4 failures in 10 probes
///     .build()?;
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfOpen {
    pub(crate) probes: ProbeRule,
    /// Zero if the circuit closes as soon as the probes have succeeded.
    pub(crate) ramp: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeRule {
    ConsecutiveSuccesses(u32),
    Sample(u32),
}

impl ProbeRule {
    /// Returns how many of the probes that have reported count towards [`probes`](Self::probes). Failures that an
    /// earlier rule of the circuit tolerated do not close it.
    pub(crate) fn reported(self, Counts { calls, failures, .. }: Counts) -> u64 {
        match self {
            Self::ConsecutiveSuccesses(_) => calls - failures,
            Self::Sample(_) => calls,
        }
    }

    pub(crate) fn probes(self) -> u32 {
        let (Self::ConsecutiveSuccesses(n) | Self::Sample(n)) = self;
        n
    }
}

impl HalfOpen {
    /// Closes the circuit after `n` successful probes (at least 1), and opens it again after one failure.
    ///
    /// A probe that [times out](crate::CircuitBreakerBuilder::probe_timeout) has failed. With a
    /// [slow-call rule](crate::CircuitBreakerBuilder::slow_call_rate_threshold), a slow probe has failed as
    /// well. A probe is admitted while the probes in flight and the successes so far are fewer than `n`.
    #[must_use]
    pub const fn consecutive_successes(n: u32) -> Self {
        Self::new(ProbeRule::ConsecutiveSuccesses(n))
    }

    /// Admits `n` probes (at least 1) in all, and decides when all of them have reported. The circuit opens
    /// again if the failure rate or the slow-call rate of the probes reaches its threshold. Otherwise it
    /// closes. [`minimum_calls`](crate::CircuitBreakerBuilder::minimum_calls) does not apply.
    ///
    /// A probe that [times out](crate::CircuitBreakerBuilder::probe_timeout) does not decide alone. It is one
    /// report of the `n`: failed and, if a slow-call duration is set, slow.
    ///
    /// [`build`](crate::CircuitBreakerBuilder::build) returns an error if no rate rule is set.
    #[must_use]
    pub const fn sample(n: u32) -> Self {
        Self::new(ProbeRule::Sample(n))
    }

    /// Recovers gradually: after the probes have succeeded, a growing share of the calls is admitted until `over`
    /// has passed. Zero is the default, and closes the circuit at once.
    ///
    /// A dependency that has just come back may have cold caches and few connections, and fall over again under the
    /// full load. With a ramp, one call of ten is admitted at first, and the share grows with the time: it is
    /// `max(0.1, t / over)`, where `t` is the time since the probes succeeded. The first call after `over` closes the
    /// circuit.
    ///
    /// Which calls are admitted is decided by credit, not by chance: each call that asks adds the present share to
    /// the credit, and a call that brings it to 1 is admitted and takes 1 from it. The credit starts at 1. So up to
    /// any moment, at most `1 + the sum of the shares` calls are admitted, and a pause earns nothing.
    ///
    /// Meanwhile the state is half-open, and the other calls are rejected with
    /// [`RejectReason::Recovering`](crate::RejectReason::Recovering). The admitted calls are counted as if the circuit
    /// were closed, and the trip rules hold. A trip opens the circuit with the next attempt of its
    /// [backoff](crate::Backoff). The counts go on when the circuit closes.
    ///
    /// [`Snapshot::admitted_share`](crate::Snapshot::admitted_share) is the present share. If the settings
    /// [change](crate::CircuitBreaker::reconfigure) meanwhile, the ramp goes on as it began.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use tower_breaker::{CircuitBreaker, HalfOpen};
    ///
    /// let breaker = CircuitBreaker::builder("inventory")
    ///     .half_open(HalfOpen::consecutive_successes(3).ramp(Duration::from_secs(30)))
    ///     .build()?;
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// ```
    #[must_use]
    pub const fn ramp(self, over: Duration) -> Self {
        Self { ramp: over, ..self }
    }

    const fn new(probes: ProbeRule) -> Self {
        Self { probes, ramp: Duration::ZERO }
    }
}

impl Default for HalfOpen {
    fn default() -> Self {
        Self::consecutive_successes(3)
    }
}
