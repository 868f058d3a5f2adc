//! Time as the machine sees it: whole nanoseconds on one line. Reading the clock is the circuit's job.

use std::time::Duration;

/// A point in time, in nanoseconds. Only differences and comparisons have a meaning.
pub(crate) type Tick = u64;

/// A length of time in nanoseconds. [`NEVER`] stands for every duration that does not fit (584 years).
pub(crate) type Nanos = u64;

/// Later than every tick that the clock returns in practice.
pub(crate) const NEVER: u64 = u64::MAX;

/// Converts a duration to nanoseconds, at most [`NEVER`].
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_that_does_not_fit_is_never() {
        assert_eq!(nanos(Duration::MAX), NEVER);
        assert_eq!(nanos(Duration::from_nanos(NEVER - 1)), NEVER - 1);
    }
}
