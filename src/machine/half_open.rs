//! [`HalfOpen`]: how many probes are admitted, and how their results open or close the circuit.

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
pub struct HalfOpen(pub(crate) ProbeRule);

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
        Self(ProbeRule::ConsecutiveSuccesses(n))
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
        Self(ProbeRule::Sample(n))
    }
}

impl Default for HalfOpen {
    fn default() -> Self {
        Self::consecutive_successes(3)
    }
}
