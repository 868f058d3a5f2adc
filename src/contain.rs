//! Running other people's code where its panic must harm nobody.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code that may panic. The panic hook has reported it then; here it ends.
pub(crate) fn contain(code: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(code)) {
        // What it panicked with is other people's code, too, and may panic when it is dropped.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(another);
        }
    }
}
