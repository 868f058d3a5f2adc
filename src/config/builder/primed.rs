//! Beginning where another circuit ended.

use super::CircuitBreakerBuilder;
use crate::machine::Saved;

impl CircuitBreakerBuilder {
    /// Begins where another circuit ended, such as that of the process before a restart: see [`Saved`] for what becomes of
    /// each state. By default, a new circuit is closed.
    ///
    /// What has [aged](Saved::aged) more than five minutes is ignored. If the settings have changed meanwhile, an open
    /// circuit waits for no longer than the new ones could make it. Unless it begins closed, listeners are notified of a
    /// transition with the cause [`Primed`](crate::Cause::Primed), and history and metrics have it as well.
    ///
    /// This is no setting. [`reconfigure`](crate::CircuitBreaker::reconfigure) ignores it, and so does a
    /// [registry](keyed/index.html), because it says nothing about each of its circuits. Two breakers that are built from
    /// clones of this builder both begin so.
    ///
    /// The guide for [introducing a breaker](crate::docs::introducing#surviving-a-restart) shows how to do it with a file.
    pub fn primed(mut self, saved: &Saved) -> Self {
        self.primed = Some(*saved);
        self
    }
}
