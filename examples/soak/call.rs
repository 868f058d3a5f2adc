//! One call, watched from both sides of the breaker.
//!
//! What a breaker tells of single calls carries no name, but it is told at once, on the thread that
//! causes it. So whoever enters the breaker on behalf of a call, to begin it, to poll it or to drop
//! it, leaves the call's record where the listener finds it. This way every event belongs to exactly
//! one call.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use tokio::time::Instant;
use tower_breaker::Settled;

use crate::findings::Check;
use crate::ledger::Ledger;

/// The header by which the backend knows probes: the number of the circuit and that of the probe.
pub(crate) const PROBE: &str = "x-probe";

/// What a panic that was caused on purpose carries.
pub(crate) struct Injected;

pub(crate) struct Call {
    ledger: Arc<Ledger>,
    pub(crate) number: u64,
    /// Before it asked for admission.
    pub(crate) asked: Instant,
    /// After it was admitted as a probe.
    pub(crate) probe_since: OnceLock<Instant>,
    pub(crate) settled: OnceLock<Settled>,
    /// How often it has reached what is protected; more than once is wrong.
    begun: AtomicU32,
    /// How often the backend has seen it, if it is a probe.
    pub(crate) arrived: AtomicU32,
}

thread_local! {
    static PRESENT: RefCell<Option<Arc<Call>>> = const { RefCell::new(None) };
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

    /// The call on whose behalf this thread is in the breaker.
    pub(crate) fn present() -> Option<Arc<Self>> {
        PRESENT.with_borrow(Clone::clone)
    }

    /// Enters the breaker, or leaves it for good, on behalf of this call.
    pub(crate) fn during<T>(self: &Arc<Self>, act: impl FnOnce() -> T) -> T {
        struct Guard(Option<Arc<Call>>);
        impl Drop for Guard {
            fn drop(&mut self) {
                PRESENT.set(self.0.take());
            }
        }
        let _guard = Guard(PRESENT.replace(Some(self.clone())));
        act()
    }

    /// It was admitted and is where the breaker lets nobody come who was not. Returns the header
    /// that tells the backend, if it is a probe.
    pub(crate) fn begin(&self) -> Option<HeaderValue> {
        if self.begun.fetch_add(1, Ordering::Relaxed) > 0 {
            self.ledger.find(Check::Once, "a call was made twice");
        }
        self.ledger.count_admitted();
        self.probe_since.get()?;
        let value = format!("{} {}", self.ledger.circuit, self.number);
        Some(HeaderValue::try_from(value).expect("digits"))
    }

    /// It was turned away, so it must not have been made.
    pub(crate) fn rejected(&self) {
        if self.begun.load(Ordering::Relaxed) > 0 {
            self.ledger.find(Check::Once, "a rejected call was made");
        }
    }
}
