//! Which thread has which stripe.

use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{MOST, OwnStripe, STRIPES};
use crate::circuit::sync::lock;

thread_local! {
    /// Constant and without a destructor, because that makes it cheap to read.
    static OWN: Cell<Option<OwnStripe>> = const { Cell::new(None) };
    static LEASE: RefCell<Option<Lease>> = const { RefCell::new(None) };
}

#[inline]
pub(super) fn own_stripe() -> OwnStripe {
    OWN.get().unwrap_or_else(assign)
}

/// Leases a stripe to the thread if there is one that no other thread has leased, or lets it share one.
#[cold]
fn assign() -> OwnStripe {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // A thread that is ending may not be able to keep a lease any more.
    let leased = LEASE.try_with(|lease| {
        let mut lease = lease.borrow_mut();
        *lease = Lease::take();
        lease.as_ref().map(|lease| OwnStripe { index: lease.0, is_alone: true })
    });
    let own = leased.ok().flatten().unwrap_or_else(|| {
        let index = NEXT.fetch_add(1, Ordering::Relaxed) & (*STRIPES - 1);
        OwnStripe { index, is_alone: false }
    });
    OWN.set(Some(own));
    own
}

/// The stripes that are leased. The lock also passes on to the next thread what this one has counted.
static LEASED: Mutex<[bool; MOST]> = Mutex::new([false; MOST]);

/// The stripe that a thread has to itself until it ends.
struct Lease(usize);

impl Lease {
    fn take() -> Option<Self> {
        let mut leased = lock(&LEASED);
        let index = leased[..*STRIPES].iter().position(|is_leased| !is_leased)?;
        leased[index] = true;
        Some(Self(index))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What the thread still does while it ends, it counts among those who share the stripe.
        OWN.set(Some(OwnStripe { index: self.0, is_alone: false }));
        lock(&LEASED)[self.0] = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn no_two_threads_are_alone_in_one_stripe() {
        let rounds = if cfg!(miri) { 2 } else { 100 }; // miri takes long
        for _ in 0..rounds {
            let together = Barrier::new(2 * MOST);
            let own: Vec<OwnStripe> = thread::scope(|scope| {
                let own = || {
                    let own = own_stripe();
                    together.wait(); // nobody has ended yet
                    own
                };
                let threads: Vec<_> = (0..2 * MOST).map(|_| scope.spawn(own)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let mut alone: Vec<_> =
                own.iter().filter(|own| own.is_alone).map(|own| own.index).collect();
            let all = alone.len();
            alone.sort_unstable();
            alone.dedup();
            assert_eq!(alone.len(), all);
            assert!(own.iter().all(|own| own.index < *STRIPES));
        }
    }

    #[test]
    fn a_thread_that_ends_passes_its_stripe_on() {
        // Other tests may have leased all stripes for a while.
        let threads = (0..100_000).map(|_| thread::spawn(|| own_stripe().is_alone));
        let alone = threads.filter_map(|thread| thread.join().ok().filter(|is_alone| *is_alone));
        assert_eq!(alone.take(MOST + 1).count(), MOST + 1);
    }

    #[test]
    fn a_thread_that_is_ending_is_not_alone() {
        struct AtTheEnd;
        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                // The lease was created later, so it has been dropped already.
                assert!(!own_stripe().is_alone);
            }
        }
        thread_local!(static AT_THE_END: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) });
        let thread = thread::spawn(|| {
            AT_THE_END.with(|at_the_end| at_the_end.replace(Some(AtTheEnd)));
            own_stripe();
        });
        thread.join().unwrap();
    }
}
