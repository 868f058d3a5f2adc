//! [`LastFailure`]: what went wrong, in words.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use tokio::time::Instant;

use crate::circuit::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::circuit::{Escaped, clock};
use crate::machine::{Cause, Change, Nanos, State, Tick};

/// The longest text that is kept, in bytes.
const LONGEST: usize = 200;

/// The shortest time between two texts that are kept.
const INTERVAL: Nanos = 1_000_000_000;

/// What went wrong with a call, in words. Returned by
/// [`CircuitBreaker::last_failure`](crate::CircuitBreaker::last_failure) and
/// [`Transition::last_failure`](crate::Transition::last_failure).
///
/// `Display` prints the text on one line: control characters are escaped.
///
/// With the feature `serde` it serializes as a map: `{ "text": "connection refused", "ago_seconds": 1.5 }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    text: Arc<str>,
    at: Tick,
}

impl LastFailure {
    /// Returns the first 200 bytes of the text, as it was given. `Display` escapes it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns when the failure was described.
    #[must_use]
    pub fn at(&self) -> Instant {
        clock::instant(self.at)
    }
}

impl Display for LastFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.text).fmt(f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for LastFailure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;

        let ago = std::time::Duration::from_nanos(clock::now().saturating_sub(self.at));
        let mut map = serializer.serialize_struct("LastFailure", 2)?;
        map.serialize_field("text", self.text())?;
        map.serialize_field("ago_seconds", &ago.as_secs_f64())?;
        map.end()
    }
}

/// The last failure of a circuit that was described.
#[derive(Default)]
pub(super) struct Described {
    /// From when on the next text is kept.
    due: AtomicU64,
    last: Mutex<Option<LastFailure>>,
}

impl Described {
    /// Keeps a text, unless it is too soon after the last one. Then nothing is formatted. Formatting runs user code.
    pub(super) fn describe(&self, now: Tick, what: &dyn Display) {
        let due = self.due.load(Ordering::Relaxed);
        let next = now.saturating_add(INTERVAL);
        // Of several threads at the same time, one goes on.
        if now < due
            || self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let mut text = Shortened(String::new());
        // The only error says that the text is full.
        let _ = write!(text, "{what}");
        *lock(&self.last) = Some(LastFailure { text: text.0.into(), at: now });
    }

    pub(super) fn last(&self) -> Option<LastFailure> {
        lock(&self.last).clone()
    }

    /// Returns the failure that has opened the circuit, if it was described. A failure that came too soon after another
    /// one is represented by that one.
    pub(super) fn cause_of(&self, change: &Change) -> Option<LastFailure> {
        let is_failure = matches!(
            change.cause,
            Cause::ConsecutiveFailures { .. }
                | Cause::FailureCount { .. }
                | Cause::FailureRate { .. }
                | Cause::RetryAfter
                | Cause::ProbeFailed
        );
        if change.to != State::Open || !is_failure {
            return None;
        }
        self.last().filter(|last| change.at.saturating_sub(last.at) < INTERVAL)
    }
}

/// The beginning of what is written to it.
struct Shortened(String);

impl Write for Shortened {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut end = text.len().min(LONGEST - self.0.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push_str(&text[..end]);
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
