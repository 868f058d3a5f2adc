//! Running user code whose panic must not affect other code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// Runs code that may panic. A panic is reported by the panic hook and caught here.
pub(crate) fn catch_panic(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        // The payload is user code as well, and may panic when it is dropped.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(another);
        }
    }
}

/// Returns a waker that wakes `waker` and catches its panics. A waker is user code, which may panic when it wakes and
/// when it is dropped. Tokio wakes several in a row, and a panic of one would leave the rest asleep.
pub(crate) fn catching_waker(waker: &Waker) -> Waker {
    struct Catching(Option<Waker>);

    impl Wake for Catching {
        fn wake(self: Arc<Self>) {
            catch_panic(|| self.0.iter().for_each(Waker::wake_by_ref));
        }
    }

    impl Drop for Catching {
        fn drop(&mut self) {
            let waker = self.0.take();
            catch_panic(|| drop(waker));
        }
    }

    Waker::from(Arc::new(Catching(Some(waker.clone()))))
}
