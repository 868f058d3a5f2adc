//! Which rejections are enforced, and the permits of calls whose rejection is not.

use super::observer::Watch;
use super::permit::Permit;
use super::status::StatusWord;
use super::sync::{AtomicU64, Ordering};
use super::{Circuit, beginning, clock};
use crate::machine::Refusal;

/// Decides for each rejection whether it is enforced.
///
/// This goes by credit, not by chance: each rejection adds the share to the credit, and one that brings the credit
/// to 1 takes 1 from it and is enforced. So of any number of rejections in a row, the share of them is enforced,
/// give or take one.
#[derive(Default)]
pub(super) struct Enforcement {
    /// The share is in the lower half, in units of 2^-32, and [`ALL`] stands for 1. The credit is in the upper half in
    /// the same units, so that it overflows when it reaches 1.
    credit_and_share: AtomicU64,
}

const ALL: u64 = u32::MAX as u64;
const HALF: u32 = 32;

/// 2^32, as a literal because `powi` may be off by a little.
const UNITS: f64 = 4_294_967_296.0;

impl Enforcement {
    /// Sets the share, from 0.0 to 1.0. Called with the lock held.
    pub(super) fn set_share(&self, share: f64) {
        // The factor is a power of two, so only what is smaller than a unit is lost.
        let share = if share < 1.0 { ((share * UNITS) as u64).min(ALL - 1) } else { ALL };
        if self.share() != share {
            let replace = |both| Some(both & !ALL | share);
            let _ =
                self.credit_and_share.fetch_update(Ordering::Relaxed, Ordering::Relaxed, replace);
        }
    }

    #[inline]
    fn share(&self) -> u64 {
        self.credit_and_share.load(Ordering::Relaxed) & ALL
    }

    /// Forgets the credit of the breaker that the circuit worked for before.
    pub(super) fn clear_credit(&self) {
        self.credit_and_share.fetch_and(ALL, Ordering::Relaxed);
    }

    /// Returns whether the next rejection is enforced.
    pub(super) fn enforces_next(&self) -> bool {
        match self.share() {
            ALL => true,
            0 => false,
            share => {
                let added = share << HALF;
                let before = self.credit_and_share.fetch_add(added, Ordering::Relaxed);
                before.checked_add(added).is_none()
            }
        }
    }

    #[inline]
    fn enforces_all(&self) -> bool {
        self.share() == ALL
    }
}

impl Circuit {
    /// Decides whether a call that was turned away is rejected. If it is not, it is made with a
    /// [`shadow_permit`](Self::shadow_permit).
    #[inline]
    pub(crate) fn enforces(&self, refusal: Refusal) -> bool {
        self.enforcement.enforces_all() || self.enforces_part(refusal)
    }

    #[cold]
    fn enforces_part(&self, refusal: Refusal) -> bool {
        refusal.is_forced() || self.enforcement.enforces_next()
    }

    /// Returns what a call is told if the circuit is forced open.
    pub(crate) fn forced_open(&self) -> Option<Refusal> {
        let refusal = self.status().is(StatusWord::OPEN).then(|| self.published_refusal());
        refusal.filter(|refusal| refusal.is_forced() && refusal.holds(clock::now()))
    }

    pub(crate) fn is_forced_open(&self) -> bool {
        self.forced_open().is_some()
    }

    /// Returns the permit of a call that is made although it was turned away. Its result never counts.
    pub(crate) fn shadow_permit(&'static self) -> Permit {
        // Any ticket of the present breaker tells the observer that the call is one of its own.
        let ticket = self.watch.load().as_deref().map_or(0, Watch::first_ticket);
        let status = self.status();
        self.permit(status.with_ticket(ticket).of_shadow(), beginning(status))
    }
}

#[cfg(all(test, not(tower_breaker_loom)))]
mod tests {
    use super::*;

    fn enforced(share: f64, rejections: u32) -> u32 {
        let enforcement = Enforcement::default();
        enforcement.set_share(share);
        (0..rejections).map(|_| u32::from(enforcement.enforces_next())).sum()
    }

    #[test]
    fn the_share_of_any_rejections_in_a_row_is_enforced() {
        assert_eq!(enforced(0.0, 1000), 0);
        assert_eq!(enforced(1.0, 1000), 1000);
        assert_eq!(enforced(f64::MIN_POSITIVE, 1000), 0);
        assert_eq!(enforced(1.0 - f64::EPSILON, 1000), 999);
        for share in [0.1, 0.25, 1.0 / 3.0, 0.5, 0.999] {
            let enforcement = Enforcement::default();
            enforcement.set_share(share);
            let mut sum = 0.0;
            let sums: Vec<f64> = (0..3000)
                .map(|_| {
                    sum += f64::from(u8::from(enforcement.enforces_next()));
                    sum
                })
                .collect();
            for (before, after) in sums.iter().zip(&sums[1000..]) {
                let enforced = after - before;
                assert!((enforced - 1000.0 * share).abs() <= 1.0, "{enforced} of 1000 at {share}");
            }
        }
    }

    #[test]
    fn the_share_is_enforced_by_many_threads_together() {
        let enforcement = Enforcement::default();
        enforcement.set_share(0.25);
        let enforced = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let own = (0..1000).filter(|_| enforcement.enforces_next()).count();
                    enforced.fetch_add(own as u64, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(enforced.into_inner(), 1000);
    }

    #[test]
    fn changing_the_share_keeps_the_credit() {
        let enforcement = Enforcement::default();
        enforcement.set_share(0.5);
        assert!(!enforcement.enforces_next());
        enforcement.set_share(0.75);
        assert!(enforcement.enforces_next());
    }
}
