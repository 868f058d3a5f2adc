//! [`InFlight`].

use super::own_stripe::OwnStripe;
use super::sync::{AtomicU64, Ordering};

/// The part of the calls in flight that is counted in one stripe: how many have begun, and how many have ended.
///
/// A call may begin in one stripe and end in another, so only the sums over all stripes say how many calls are in
/// flight. Both counts only grow, and they wrap around.
///
/// A thread that has a stripe to itself counts without an atomic read-modify-write. All other threads of the stripe
/// share a second pair of counts. (`cargo bench --bench keyed`: with the second pair alone, a call takes a third
/// longer.)
#[derive(Default)]
pub(super) struct InFlight {
    alone: Counts,
    shared: Counts,
}

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl InFlight {
    /// Counts a call that begins.
    #[inline]
    pub(super) fn begin(&self, stripe: OwnStripe) {
        increment(stripe, &self.alone.begun, &self.shared.begun);
    }

    /// Counts a call that has been settled.
    #[inline]
    pub(super) fn end(&self, stripe: OwnStripe) {
        increment(stripe, &self.alone.ended, &self.shared.ended);
    }

    pub(super) fn begun(&self) -> u64 {
        let Self { alone, shared } = self;
        sum([alone, shared].map(|counts| counts.begun.load(Ordering::Acquire)))
    }

    /// Returns how many calls have ended. Whatever they have done is visible then.
    pub(super) fn ended(&self) -> u64 {
        let Self { alone, shared } = self;
        sum([alone, shared].map(|counts| counts.ended.load(Ordering::Acquire)))
    }
}

/// Adds counts that wrap around.
pub(super) fn sum(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::wrapping_add)
}

/// Adds one to the count that the thread has alone, or to the one that it shares.
///
/// This releases what the thread has done before. The thread that was alone in the stripe before passed it on with a
/// lock, so whoever sees its successor's count also sees what it has done.
#[inline]
fn increment(stripe: OwnStripe, alone: &AtomicU64, shared: &AtomicU64) {
    if stripe.is_alone {
        let count = alone.load(Ordering::Relaxed);
        alone.store(count.wrapping_add(1), Ordering::Release);
    } else {
        shared.fetch_add(1, Ordering::Release);
    }
}
