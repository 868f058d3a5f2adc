//! Running user code whose panic must not affect other code.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code that may panic. A panic is reported by the panic hook and caught here.
pub(crate) fn catch_panic(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        // The payload is user code as well, and may panic when it is dropped.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(another);
        }
    }
}
