//! [`HalfOpen`]: how many probes are admitted, and how they decide.

/// How many probes are admitted while half-open, and how they decide.
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
///     .half_open(HalfOpen::sample(10)) // tolerates up to 4 failures in 10 probes
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
    pub(crate) fn probes(self) -> u32 {
        let (Self::ConsecutiveSuccesses(n) | Self::Sample(n)) = self;
        n
    }
}

impl HalfOpen {
    /// `n` successes (at least 1) close the circuit; one failure opens it again. With a
    /// [slow-call rule](crate::CircuitBreakerBuilder::slow_call_rate_threshold), a slow probe is a failed
    /// one.
    ///
    /// A probe is admitted while the probes in flight and the successes so far are fewer than `n`.
    #[must_use]
    pub const fn consecutive_successes(n: u32) -> Self {
        Self(ProbeRule::ConsecutiveSuccesses(n))
    }

    /// Admits `n` probes (at least 1) in all. When all have reported, the circuit opens again if the
    /// failure rate or the slow-call rate among them reaches its threshold, else it closes;
    /// [`minimum_calls`](crate::CircuitBreakerBuilder::minimum_calls) does not matter here.
    ///
    /// Needs a rate rule.
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
