//! Reading the clock. No other module of the crate reads it.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

use crate::machine::Tick;
#[cfg(not(tower_breaker_loom))]
use crate::machine::nanos;

/// The tick of the anchor. It is far from both ends, because a clock that tokio has paused can show a
/// time before the anchor: each paused runtime has a clock of its own, and they share one anchor.
const MIDDLE: Tick = 1 << 61;

static ANCHOR: OnceLock<Instant> = OnceLock::new();

/// Returns the current time. All circuits of the process share one time line.
#[cfg(not(tower_breaker_loom))]
pub(crate) fn now() -> Tick {
    let now = Instant::now();
    let anchor = *ANCHOR.get_or_init(|| now);
    match now.checked_duration_since(anchor) {
        Some(after) => MIDDLE.saturating_add(nanos(after)),
        None => MIDDLE.saturating_sub(nanos(anchor - now)),
    }
}

/// In a model, time passes only when the model says so.
#[cfg(tower_breaker_loom)]
pub(crate) fn now() -> Tick {
    super::model::now(MIDDLE)
}

/// Converts a tick to the instant that users see.
pub(crate) fn instant(tick: Tick) -> Instant {
    let anchor = *ANCHOR.get_or_init(Instant::now);
    match tick.checked_sub(MIDDLE) {
        Some(after) => anchor + Duration::from_nanos(after),
        None => anchor - Duration::from_nanos(MIDDLE - tick),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ticks_follow_the_paused_clock_for_centuries() {
        let start = now();
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        tokio::time::advance(century).await;
        assert_eq!(now() - start, nanos(century));
        assert_eq!(instant(now()), Instant::now());
    }
}
