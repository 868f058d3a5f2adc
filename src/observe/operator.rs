//! [`Operator`]: who operates a circuit, and why.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::circuit::Escaped;

/// Who operates a circuit, and why. Pass it to [`CircuitBreaker::operate`](crate::CircuitBreaker::operate), and find it
/// in [`Event::operator`](crate::Event::operator) and in the log.
///
/// `Display` prints `alice (maintenance of the database)`. What could change the line around it is escaped.
///
/// # Example
/// ```
/// let operator = tower_breaker::Operator::new("alice", "maintenance of the database");
/// assert_eq!(operator.to_string(), "alice (maintenance of the database)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operator {
    actor: String,
    reason: String,
}

impl Operator {
    /// Creates an operator. The reason may be empty.
    pub fn new(actor: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { actor: actor.into(), reason: reason.into() }
    }

    /// Returns who operates, as it was given.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Returns why, as it was given.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.actor).fmt(f)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, " ({})", Escaped(&self.reason)) }
    }
}

// The machine records an action on the thread that acts, and knows nothing about people.
thread_local! {
    static OPERATOR: RefCell<Option<Arc<Operator>>> = const { RefCell::new(None) };
}

/// Runs `act`, which operates a circuit, on behalf of an operator.
pub(crate) fn on_behalf_of<R>(operator: Operator, act: impl FnOnce() -> R) -> R {
    /// Also if `act` panics.
    struct Restore(Option<Arc<Operator>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            OPERATOR.set(self.0.take());
        }
    }
    let _restore = Restore(OPERATOR.replace(Some(Arc::new(operator))));
    act()
}

/// Returns on whose behalf the current thread operates a circuit, if that is known.
pub(super) fn operator() -> Option<Arc<Operator>> {
    OPERATOR.with_borrow(Option::clone)
}
