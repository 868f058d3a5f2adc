//! How long an open period lasts.

use std::time::Duration;

use super::time::{NEVER, Nanos, nanos};

/// How long the circuit stays open before it admits a probe.
///
/// The wait grows with each open period, and starts again at its initial value once the circuit has closed
/// (or later, with [`forget_after`](Self::forget_after)). A [`Duration`] converts into a constant wait.
///
/// # Default
/// [`Backoff::exponential`] from 5 s to 60 s, which doubles and has a jitter of 0.1.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::{Backoff, CircuitBreaker};
///
/// // 1 s, 3 s, 9 s, 27 s, 30 s, 30 s ... each up to a fifth shorter or longer
/// let wait = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(30))
///     .factor(3.0)
///     .jitter(0.2);
/// let breaker = CircuitBreaker::builder("payments").open_duration(wait).build()?;
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    pub(crate) initial: Duration,
    pub(crate) max: Duration,
    pub(crate) factor: f64,
    pub(crate) jitter: f64,
    /// The largest part of itself by which a retry-after is lengthened.
    pub(crate) stretch: f64,
    pub(crate) forget_after: Duration,
}

const DEFAULT_JITTER: f64 = 0.1;

impl Backoff {
    /// Creates a constant wait: every open period lasts `wait`, without jitter.
    ///
    /// `wait` must be longer than zero. [`build`](crate::CircuitBreakerBuilder::build) returns an error
    /// otherwise.
    #[must_use]
    pub const fn constant(wait: Duration) -> Self {
        Self {
            initial: wait,
            max: wait,
            factor: 1.0,
            jitter: 0.0,
            stretch: DEFAULT_JITTER,
            forget_after: Duration::ZERO,
        }
    }

    /// Creates a wait that doubles: the first open period lasts `initial`, and each further one twice as long
    /// as the one before, up to `max`. The jitter is 0.1.
    ///
    /// `initial` must be longer than zero, and `max` must not be shorter than `initial`.
    /// [`build`](crate::CircuitBreakerBuilder::build) returns an error otherwise.
    #[must_use]
    pub const fn exponential(initial: Duration, max: Duration) -> Self {
        Self { initial, max, factor: 2.0, jitter: DEFAULT_JITTER, ..Self::constant(initial) }
    }

    /// Sets the factor (finite, at least 1) by which the wait grows after each open period. It has no effect
    /// on a constant wait, which is its own maximum.
    ///
    /// [`build`](crate::CircuitBreakerBuilder::build) returns an error if the factor is out of range.
    #[must_use]
    pub const fn factor(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// Sets the jitter, from 0.0 (none) to 1.0, so that many clients do not probe at the same time.
    ///
    /// Each wait `w` is drawn uniformly from `w * (1 - fraction)` to `w * (1 + fraction)`. The jitter applies
    /// after the maximum, so a wait may exceed the maximum.
    ///
    /// The jitter also lengthens each [retry-after](crate::Permit::failure_retry_after) by up to `fraction` of
    /// itself, so that clients with the same retry-after do not return at once. If the open duration is
    /// constant and no jitter was set, a retry-after is lengthened by up to 0.1 of itself.
    ///
    /// [`build`](crate::CircuitBreakerBuilder::build) returns an error if `fraction` is out of range.
    #[must_use]
    pub const fn jitter(self, fraction: f64) -> Self {
        Self { jitter: fraction, stretch: fraction, ..self }
    }

    /// Lets the wait shrink slowly instead of at once after the circuit has closed: each full `closed` that the
    /// circuit spends closed takes one open period from those that the wait grows with. Zero, the default, forgets
    /// all of them as soon as the circuit closes.
    ///
    /// A dependency that fails again soon after each recovery is then met with growing waits, although the circuit
    /// closes in between. Once the wait has reached its maximum, further open periods add nothing to what has to
    /// be forgotten. Time for which an operator holds the circuit closed does not count, and
    /// [`reset`](crate::CircuitBreaker::reset) forgets everything.
    ///
    /// The periods are counted when the circuit next opens.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use tower_breaker::Backoff;
    ///
    /// // After an outage with waits of 1, 2 and 4 s, the next one begins with 8 s. Had the circuit been closed for
    /// // ten minutes in between, it would begin with 4 s, and after half an hour with 1 s.
    /// let wait = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(60))
    ///     .forget_after(Duration::from_secs(600));
    /// ```
    #[must_use]
    pub const fn forget_after(self, closed: Duration) -> Self {
        Self { forget_after: closed, ..self }
    }

    /// Returns the number of the first attempt whose wait, without jitter, is the longest.
    pub(super) fn attempts_to_max(&self) -> u32 {
        let (initial, max) = (nanos(self.initial), nanos(self.max));
        let steps = (max as f64 / initial as f64).ln() / self.factor.ln();
        // Not a number, or infinite, if the wait never grows. The cast saturates.
        let steps = if steps.is_finite() { steps.ceil() as u32 } else { 0 };
        let is_longest = |steps: &u32| self.jitter(0.0).wait(*steps, 0.0) >= max;
        // The logarithm may be off by one.
        let first = (steps.saturating_sub(1)..=steps.saturating_add(1)).find(is_longest);
        first.unwrap_or(steps).saturating_add(1)
    }

    /// Returns by how much to lengthen a retry-after of `wait`. `draw` is from 0.0 to 1.0.
    pub(super) fn stretch(&self, wait: Nanos, draw: f64) -> Nanos {
        (wait as f64 * self.stretch * draw).round() as Nanos
    }

    /// Returns the longest that an open period can be, unless the callee asks for more.
    pub(super) fn longest(&self) -> Nanos {
        let max = nanos(self.max);
        max.saturating_add((max as f64 * self.jitter).round() as Nanos)
    }

    /// Returns the length of the open period that follows `before` others since the circuit was last closed.
    /// `draw`, from 0.0 to 1.0, chooses the length within the jitter.
    pub(super) fn wait(&self, before: u32, draw: f64) -> Nanos {
        let (initial, max) = (nanos(self.initial), nanos(self.max));
        // A float represents up to 104 days in nanoseconds exactly. Beyond that it rounds, and the cast
        // saturates. An exponent beyond `i32::MAX` reaches the maximum anyway.
        let exponent = i32::try_from(before).unwrap_or(i32::MAX);
        let grown = initial as f64 * self.factor.powi(exponent);
        let wait = if exponent == 0 || self.factor == 1.0 {
            initial
        } else if grown >= max as f64 {
            max
        } else {
            grown.round() as Nanos
        };
        if self.jitter == 0.0 || wait == NEVER {
            return wait;
        }
        let wait = wait as f64;
        (wait * (1.0 - self.jitter + 2.0 * self.jitter * draw)).round() as Nanos
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Duration::from_secs(5), Duration::from_secs(60))
    }
}

impl From<Duration> for Backoff {
    fn from(wait: Duration) -> Self {
        Self::constant(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Nanos = 1_000_000;

    fn exponential(initial: u64, max: u64) -> Backoff {
        Backoff::exponential(Duration::from_millis(initial), Duration::from_millis(max)).jitter(0.0)
    }

    #[test]
    fn it_doubles_up_to_the_maximum() {
        let backoff = exponential(100, 350);
        let waits: Vec<_> = (0..4).map(|n| backoff.wait(n, 0.5) / MS).collect();
        assert_eq!(waits, [100, 200, 350, 350]);
        assert_eq!(backoff.wait(u32::MAX, 0.5), 350 * MS);
    }

    #[test]
    fn the_jitter_comes_after_the_maximum() {
        let backoff = exponential(100, 350).jitter(0.5);
        assert_eq!(backoff.wait(9, 1.0), 525 * MS);
        assert_eq!(backoff.wait(9, 0.0), 175 * MS);
    }

    #[test]
    fn the_first_attempt_with_the_longest_wait_is_found() {
        for (initial, max, factor) in
            [(100, 350, 2.0), (100, 400, 2.0), (1, 59_049, 3.0), (7, 1000, 1.001), (5, 5, 4.0)]
        {
            let backoff = exponential(initial, max).factor(factor);
            let first = (1..).find(|n| backoff.wait(n - 1, 0.5) == max * MS).unwrap();
            assert_eq!(backoff.attempts_to_max(), first, "{backoff:?}");
        }
        // These never reach their maximum, or only after more attempts than can be counted.
        assert_eq!(exponential(100, 350).factor(1.0).attempts_to_max(), 1);
        let slow = Backoff::exponential(Duration::from_nanos(1), Duration::MAX);
        assert!(slow.factor(1.0 + f64::EPSILON).attempts_to_max() > 1 << 31);
    }

    #[test]
    fn a_constant_wait_is_exact_and_never_grows() {
        let odd = Duration::from_nanos((1 << 53) + 1);
        assert_eq!(Backoff::constant(odd).factor(7.0).wait(9, 0.3), (1 << 53) + 1);
    }

    #[test]
    fn the_longest_durations_saturate() {
        assert_eq!(Backoff::constant(Duration::MAX).wait(5, 0.9), NEVER);
        assert_eq!(Backoff::constant(Duration::MAX).jitter(1.0).wait(5, 1.0), NEVER);
        let backoff = Backoff::exponential(Duration::from_nanos(1), Duration::MAX).factor(f64::MAX);
        assert_eq!(backoff.jitter(0.0).wait(u32::MAX, 1.0), NEVER);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_fraction_and_reaches_both_ends(
            wait in 1_u64..1 << 50, fraction in 0.0..=1.0_f64, draw in 0.0..=1.0_f64,
        ) {
            let backoff = Backoff::constant(Duration::from_nanos(wait)).jitter(fraction);
            let (low, high) = (wait as f64 * (1.0 - fraction), wait as f64 * (1.0 + fraction));
            let drawn = backoff.wait(0, draw) as f64;
            prop_assert!(low - 1.0 <= drawn && drawn <= high + 1.0);
            prop_assert!((backoff.wait(0, 0.0) as f64 - low).abs() <= 1.0);
            prop_assert!((backoff.wait(0, 1.0) as f64 - high).abs() <= 1.0);
        }
    }
}
