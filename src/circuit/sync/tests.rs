//! What calls read without the lock. `cargo miri test` lets loads return any value that the memory model allows, so
//! there a test fails for an ordering that is too weak for other processors than this one.

use std::thread;

use super::{AtomicU64, Ordering, update};

#[test]
fn whoever_sees_what_was_published_last_sees_what_was_published_before() {
    for _ in 0..20 {
        let (before, last) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=20 {
                    update(&before, n);
                    update(&last, n);
                }
            });
            for _ in 0..20 {
                let last = last.load(Ordering::Acquire);
                assert!(before.load(Ordering::Acquire) >= last);
            }
        });
    }
}
