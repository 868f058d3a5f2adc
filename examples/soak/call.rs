//! One call, watched from both sides of the breaker.
//!
//! Events about a single call do not say which call it is, but listeners are notified of them at once, on the
//! thread that causes them. So the code that starts, polls or drops a call first puts its record where the
//! listener finds it. This way every event belongs to exactly one call.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use tokio::time::Instant;
use tower_breaker::Settled;

use crate::findings::Check;
use crate::ledger::Ledger;

/// The header by which the backend recognises probes. It contains the number of the circuit and that of the
/// probe.
pub(crate) const PROBE: &str = "x-probe";

/// The payload of a panic that was caused on purpose.
pub(crate) struct Injected;

pub(crate) struct Call {
    ledger: Arc<Ledger>,
    pub(crate) number: u64,
    /// When the call was created, which is before it asked for admission.
    pub(crate) asked: Instant,
    /// When the listener was notified that the call is a probe, which is after its admission.
    pub(crate) probe_since: OnceLock<Instant>,
    pub(crate) settled: OnceLock<Settled>,
    /// How often the call has reached the protected service. More than once is an error.
    begun: AtomicU32,
    /// How often the call has reached the backend, if it is a probe.
    pub(crate) arrived: AtomicU32,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Call>>> = const { RefCell::new(None) };
}

impl Call {
    pub(crate) fn new(ledger: &Arc<Ledger>) -> Arc<Self> {
        Arc::new(Self {
            number: ledger.next_number(),
            ledger: ledger.clone(),
            asked: Instant::now(),
            probe_since: OnceLock::new(),
            settled: OnceLock::new(),
            begun: AtomicU32::new(0),
            arrived: AtomicU32::new(0),
        })
    }

    /// Returns the call for which this thread uses the breaker now.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Uses the breaker for this call.
    pub(crate) fn during<T>(self: &Arc<Self>, act: impl FnOnce() -> T) -> T {
        struct Guard(Option<Arc<Call>>);
        impl Drop for Guard {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _guard = Guard(CURRENT.replace(Some(self.clone())));
        act()
    }

    /// The call has reached the protected service. Returns the header for the backend if it is a probe.
    pub(crate) fn begin(&self) -> Option<HeaderValue> {
        if self.begun.fetch_add(1, Ordering::Relaxed) > 0 {
            self.ledger.find(Check::Once, "a call was made twice");
        }
        self.ledger.count_admitted();
        self.probe_since.get()?;
        let value = format!("{} {}", self.ledger.circuit, self.number);
        Some(HeaderValue::try_from(value).expect("the value consists of digits"))
    }

    /// The call was rejected, so it must not have reached the protected service.
    pub(crate) fn rejected(&self) {
        if self.begun.load(Ordering::Relaxed) > 0 {
            self.ledger.find(Check::Once, "a rejected call was made");
        }
    }
}
