//! [`Saved`]: what a new circuit can take over from one that is gone.

use std::time::Duration;

use super::{Cause, Machine, Nanos, Opening, Phase, State, Tally, Tick, nanos};

/// The state of a circuit in a form that outlives its process. Returned by
/// [`CircuitBreaker::save`](crate::CircuitBreaker::save), and taken by
/// [`CircuitBreakerBuilder::primed`](crate::CircuitBreakerBuilder::primed).
///
/// It consists of the state, the rest of the wait of an open circuit, and the number of the open period, on which the
/// [backoff](crate::Backoff) depends. It contains no counts, because they say little about the time after a restart, and
/// no instants, because the clock of another process may be wrong.
///
/// # What becomes of each state
///
/// | saved | restored |
/// |---|---|
/// | closed | closed |
/// | open | open, with the rest of the wait and the same attempt |
/// | half-open, or recovering | open, with none of the wait left: the next call is a probe |
/// | forced open or closed | what [`resume`](crate::CircuitBreaker::resume) would make of it: half-open or closed |
///
/// An operator who forces a circuit decides about one process, so this is not saved. Nor are a
/// [suspicion](crate::CircuitBreaker::suspect) and a changed [enforcement](crate::CircuitBreaker::set_enforcement).
///
/// # As JSON
/// With the feature `serde`, it serializes as a map, in every format that has names of fields, such as JSON, TOML or YAML:
///
/// ```json
/// { "state": "open", "wait": "4s 200ms", "attempt": 2 }
/// ```
///
/// * `state` is `closed`, `open` or `half_open`.
/// * `wait` is what is left of the wait of an open circuit, at most 365 days. It is a duration as in a settings file, and
///   zero if it is absent.
/// * `attempt` is the number of open periods that the backoff remembers, and 0 if it is absent.
/// * `age` is the sum of what [`aged`](Self::aged) was given, a duration. It is absent if it is zero.
///
/// Reading it back is an error if there is no `state`, if a value is out of range, or if there is a field with another name. So a
/// version of this crate that saves more than another one is not misunderstood. Whoever cannot read a saved state does
/// without it, and begins closed.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::{CircuitBreaker, State};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let breaker = CircuitBreaker::builder("payments").open_duration(Duration::from_secs(10)).build()?;
/// breaker.trip();
/// let saved = breaker.save(); // to a file, say
///
/// // Three seconds later, in the next process:
/// let saved = saved.aged(Duration::from_secs(3));
/// let breaker = CircuitBreaker::builder("payments").primed(&saved).build()?;
/// assert_eq!(breaker.state(), State::Open);
/// assert_eq!(breaker.snapshot().retry_after(), Some(Duration::from_secs(7)));
/// # Ok::<(), tower_breaker::ConfigError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    pub(crate) state: State,
    pub(crate) wait: Duration,
    pub(crate) attempt: u32,
    pub(crate) age: Duration,
}

impl Saved {
    /// A longer wait is saved as this.
    pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

    /// What is older than this is ignored.
    const OLDEST: Duration = Duration::from_secs(300);

    /// Returns the same state as it is `since` later: so long ago it was saved. The rest of the wait becomes shorter by
    /// this. Several calls add up.
    ///
    /// Only the caller knows how long ago that was, and by which clock: for a file it is usually the time since it was
    /// modified. What is older than five minutes in all is ignored by
    /// [`primed`](crate::CircuitBreakerBuilder::primed), because it says nothing about the dependency any more.
    #[must_use]
    pub const fn aged(self, since: Duration) -> Self {
        let (wait, age) = (self.wait.saturating_sub(since), self.age.saturating_add(since));
        Self { wait, age, ..self }
    }

    /// Returns the state. A circuit that was forced has the state that it would have been resumed to.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Returns the rest of the wait of an open circuit. It is zero in the other states.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        self.wait
    }

    /// Returns the number of open periods that the [backoff](crate::Backoff) remembers. For an open circuit, this is the
    /// number of its present one.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns how long ago it was saved, as far as [`aged`](Self::aged) was told.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.age
    }
}

impl Machine {
    pub(crate) fn save(&self, now: Tick) -> Saved {
        let mut machine = self.advanced(now);
        machine.forget_attempts(machine.now);
        let (state, wait) = match machine.phase {
            Phase::Open { .. } if machine.is_forced() => (State::HalfOpen, 0),
            Phase::Open { until, .. } => (State::Open, until.saturating_sub(machine.now)),
            _ => (machine.state(), 0),
        };
        let wait = Duration::from_nanos(wait).min(Saved::LONGEST_WAIT);
        Saved { state, wait, attempt: machine.attempts, age: Duration::ZERO }
    }

    /// Lets a circuit that has just been created go on where another one has ended.
    pub(crate) fn prime(&mut self, saved: &Saved, now: Tick) {
        if saved.age > Saved::OLDEST {
            return;
        }
        self.advance(now);
        self.attempts = saved.attempt;
        if saved.state == State::Closed {
            return;
        }
        let attempt = saved.attempt.max(1);
        // The settings may have changed. Then the circuit stays open for no longer than they could make it.
        let wait = nanos(saved.wait).min(self.longest_wait());
        let (until, tally) = (self.now.saturating_add(wait), Tally::default());
        (self.attempts, self.openings) = (attempt, 1);
        let opening = Opening { wait, attempt, in_flight: 0 };
        self.enter(Phase::Open { until, tally }, self.now, Cause::Primed, Some(opening));
    }

    /// Returns the longest wait that the rules can lead to.
    fn longest_wait(&self) -> Nanos {
        let backoff = &self.rules.open_duration;
        let asked = self.rules.max_retry_after;
        backoff.longest().max(asked.saturating_add(backoff.stretch(asked, 1.0)))
    }
}
