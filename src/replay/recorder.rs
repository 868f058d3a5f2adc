//! [`Recorder`]: a listener that records calls.

use std::sync::Arc;
use std::time::Duration;

use super::recording::Recording;
use super::trace::Trace;
use crate::observe::{Event, EventKind, Interest, Listener};

/// Records calls as a [`Trace`]: a [`Listener`].
///
/// It has room for a number of calls, and 40 bytes for each. When it is full, it counts the calls that it
/// [drops](Trace::dropped). It never blocks, and it allocates nothing while it records. A recorder and its clones can listen to
/// several breakers, or to those of a registry: the name of the breaker is the [key](super::Call::key). There is room for 256 names
/// and 32 KiB of their text.
///
/// A call is recorded when it ends. A call that is rejected is recorded without an ending. A call that is
/// turned away in [shadow mode](crate::CircuitBreakerBuilder::enforcement) and let through is recorded as it ended, so a trace of
/// a breaker in shadow mode has no holes.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker::replay::{self, Recorder};
///
/// let (recorder, trace) = Recorder::new(1 << 16);
/// let breaker = CircuitBreaker::builder("payments")
///     .enforcement(0.0) // records without rejecting anything
///     .listener(recorder)
///     .build()?;
///
/// for _ in 0..10 {
///     breaker.try_acquire().unwrap().failure();
/// }
///
/// let settings = CircuitBreaker::builder("payments").consecutive_failures(5);
/// let report = replay::run(&settings, &trace)?;
/// assert_eq!(report.shed(), 5);
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Recording>);

impl Recorder {
    /// Creates a recorder with room for so many calls, and the trace that it fills. The time of the trace begins now.
    #[must_use]
    pub fn new(capacity: usize) -> (Self, Trace) {
        let recording = Arc::new(Recording::new(capacity));
        (Self(recording.clone()), Trace::recorded(recording))
    }
}

impl Listener for Recorder {
    fn on_event(&self, event: &Event<'_>) {
        let name = event.breaker();
        match event.kind() {
            EventKind::Settled(settled) => {
                let took = settled.duration().unwrap_or_default();
                self.0.record(name, Some(settled.ending()), took, settled.retry_after());
            }
            EventKind::Rejected(_) => self.0.record(name, None, Duration::ZERO, None),
            _ => {}
        }
    }

    fn interest(&self) -> Interest {
        Interest::Durations
    }
}
