//! What went wrong with a call, in words.

use std::fmt::Display;

use super::sync::lock;
use super::{Circuit, clock};
use crate::machine::Ticket;

impl Circuit {
    /// Passes on what went wrong with a call. Called without any lock held, because printing it runs user code.
    #[cold]
    pub(super) fn describe_failure(&self, ticket: Ticket, what: &dyn Display) {
        let mut locked = lock(&self.locked);
        // The call of a breaker that is gone says nothing about the one that has the circuit now.
        let breaker = locked.breaker().filter(|breaker| ticket >= breaker.first_ticket());
        let observer = breaker.map(|breaker| breaker.observer.clone());
        drop(locked);
        if let Some(observer) = observer {
            observer.describe_failure(clock::now(), what);
        }
    }
}
