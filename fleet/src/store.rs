//! [`Store`]: where the votes of a fleet are kept.

mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use self::memory::{MemoryLink, MemoryStore};
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;

/// Where the votes of a fleet are kept. [`RedisStore`] is the one for production, [`MemoryStore`] is for tests. Implement
/// it for another server.
///
/// A store counts. It decides nothing, and nobody has to trust it: the worst that a wrong count does is that circuits are
/// [suspected](tower_breaker::CircuitBreaker::suspect), or not.
///
/// # Time
///
/// Votes expire. A store measures that by its own clock alone: an exchange says for how long its votes are to last, and
/// never until when.
///
/// # Cancel safety
///
/// Both futures may be dropped at any time, the one of [`exchange`](Self::exchange) when it has taken too long. An
/// exchange that was dropped may have had its effect, and is repeated.
pub trait Store: Send + Sync + 'static {
    /// Does what the exchange says, and returns what the store knows afterwards.
    ///
    /// There is one at a time of each instance. It need not give up by itself, because the caller does.
    ///
    /// # Errors
    /// Returns an error if the store cannot be reached or does not do it. Then the exchange is repeated later, after a
    /// while that grows and is not the same for all instances.
    fn exchange(
        &self,
        exchange: &Exchange,
    ) -> impl Future<Output = Result<Answer, StoreError>> + Send;

    /// Waits until somebody's vote has completed a quorum, and returns the key of that circuit. The fleet then reads its
    /// votes, and does not take anybody's word for it.
    ///
    /// This is only to be quick: a store may lose hints, invent them, or never return. It must keep few of them for a
    /// fleet that is slow to ask.
    fn hint(&self, fleet: &str) -> impl Future<Output = Hint> + Send;
}

/// What one instance tells a [`Store`] and wants to know.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Exchange {
    /// The name of the fleet. Fleets of different names know nothing of each other.
    pub fleet: Arc<str>,
    /// Who votes. Its votes replace its former ones, so that there is one for each distinct instance.
    pub instance: Arc<str>,
    /// For how long the instance counts as one, and its votes last, unless they are renewed.
    pub time_to_live: Duration,
    /// The share of the instances whose votes are a quorum. At least two votes are.
    pub quorum_share: f64,
    /// The circuits, each with what to do. There are at most 256.
    pub circuits: Vec<(Arc<str>, Action)>,
}

/// What an [`Exchange`] does about one circuit. In any case, the votes of the others are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// The circuit of this instance is open: votes, or renews its vote.
    Vote,
    /// The circuit of this instance has closed: withdraws its vote.
    Withdraw,
    /// Neither.
    Read,
}

/// What a [`Store`] knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The number of instances that have made an exchange within their time to live, this one included.
    pub instances: u64,
    /// For each circuit of the exchange, how many *other* instances vote for it.
    pub others: Vec<u64>,
}

impl Answer {
    /// Creates an answer from the number of instances and, for each circuit of the exchange, the number of others that
    /// vote for it.
    #[must_use]
    pub fn new(instances: u64, others: Vec<u64>) -> Self {
        Self { instances, others }
    }
}

/// What a [`Store`] passes on while nobody asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// The votes for the circuit with this key may be a quorum.
    Look(String),
    /// So many hints were dropped since the last one, because they came too fast or made no sense.
    Dropped(u64),
}

/// A [`Store`] could not do what it was asked for.
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// Creates an error with this cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// Returns how many votes of others are a quorum.
pub(crate) fn quorum(share: f64, instances: u64) -> u64 {
    // A product such as 0.1 * 30 is a little more than 3, which is not to need a fourth vote.
    let votes = (share * instances as f64 - 1e-9).ceil() as u64;
    votes.max(2)
}

#[cfg(test)]
mod tests {
    use super::quorum;

    #[test]
    fn a_quorum_is_the_share_of_the_instances_rounded_up_and_two_at_least() {
        for (share, instances, votes) in [
            (0.25, 0, 2),
            (0.25, 8, 2),
            (0.25, 9, 3),
            (0.1, 30, 3),
            (0.1, 31, 4),
            (1.0, 8, 8),
            (0.25, u64::MAX, u64::MAX / 4 + 1),
        ] {
            assert_eq!(quorum(share, instances), votes, "{share} of {instances}");
        }
    }
}
