//! Time as a number: whole nanoseconds on a line that all circuits of the process share.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// A point in time. Only differences and comparisons mean anything.
pub(crate) type Tick = u64;

/// A length of time in nanoseconds; [`NEVER`] stands for any that does not fit (584 years).
pub(crate) type Nanos = u64;

/// Later than every tick that the clock returns in practice.
pub(crate) const NEVER: u64 = u64::MAX;

/// Ticks lie around this one, because a clock that tokio has paused can show a time before the
/// anchor: each paused runtime has its own clock, but there is one anchor for all of them.
const MIDDLE: Tick = 1 << 62;

static ANCHOR: OnceLock<Instant> = OnceLock::new();

/// The present. This is the only place that asks the clock.
#[cfg(not(tower_breaker_loom))]
pub(crate) fn now() -> Tick {
    let now = Instant::now();
    let anchor = *ANCHOR.get_or_init(|| now);
    match now.checked_duration_since(anchor) {
        Some(after) => MIDDLE.saturating_add(nanos(after)),
        None => MIDDLE.saturating_sub(nanos(anchor - now)),
    }
}

/// In a model time passes only when the model says so.
#[cfg(tower_breaker_loom)]
pub(crate) fn now() -> Tick {
    model::NOW.get()
}

/// The clock of the models in `tests/loom.rs`.
#[cfg(tower_breaker_loom)]
#[doc(hidden)]
pub mod model {
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        /// The threads of a model are one thread to the system, and other models are others.
        pub(super) static NOW: Cell<u64> = const { Cell::new(super::MIDDLE) };
    }

    /// Sets the clock to so long after the beginning.
    pub fn set_time(since: Duration) {
        NOW.set(super::MIDDLE + super::nanos(since));
    }
}

/// The time of a tick, for people and programs outside.
pub(crate) fn instant(tick: Tick) -> Instant {
    let anchor = *ANCHOR.get_or_init(Instant::now);
    match tick.checked_sub(MIDDLE) {
        Some(after) => anchor + Duration::from_nanos(after),
        None => anchor - Duration::from_nanos(MIDDLE - tick),
    }
}

/// A duration in nanoseconds, at most [`NEVER`].
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

    #[tokio::test(start_paused = true)]
    async fn ticks_follow_the_paused_clock_for_centuries() {
        let start = now();
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        tokio::time::advance(century).await;
        assert_eq!(now() - start, nanos(century));
        assert_eq!(instant(now()), Instant::now());
    }
}
