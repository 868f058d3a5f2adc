//! Changing the settings of a circuit while it works.

use std::sync::Arc;

use super::builder::CircuitBreakerBuilder;
use super::checks::share;
use super::error::ConfigError;
use crate::breaker::CircuitBreaker;
use crate::machine::{OperatorAction, Reconfigured};
use crate::observe::{Operator, on_behalf_of};

impl CircuitBreaker {
    /// Does what the method of this name does, and says who did it and why. Use it for an operator's interface.
    ///
    /// The [`Operator`] is part of the [event](crate::Event::operator) and of the log line.
    ///
    /// # Errors
    /// Returns an error if the action has an argument that is out of range. The circuit stays as it was.
    ///
    /// # Example
    /// ```
    /// use tower_breaker::{CircuitBreaker, Operator, OperatorAction, State};
    ///
    /// let breaker = CircuitBreaker::builder("payments")
    ///     .on_event(|event| println!("{event}")) // payments: force_open, by alice (maintenance)
    ///     .build()?;
    /// breaker.operate(OperatorAction::ForceOpen, Operator::new("alice", "maintenance"))?;
    /// assert_eq!(breaker.state(), State::Open);
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// ```
    pub fn operate(&self, action: OperatorAction, operator: Operator) -> Result<(), ConfigError> {
        on_behalf_of(operator, || match action {
            OperatorAction::SetEnforcement { share } => self.set_enforcement(share),
            action => {
                self.circuit().operate(action);
                Ok(())
            }
        })
    }

    /// Changes the settings as [`reconfigure`](Self::reconfigure) does, and says who did it and why.
    ///
    /// # Errors
    /// The same as [`reconfigure`](Self::reconfigure).
    ///
    /// # Example
    /// ```
    /// use tower_breaker::{CircuitBreaker, Operator, Reconfigured};
    ///
    /// let settings = CircuitBreaker::builder("payments").consecutive_failures(5);
    /// let breaker = settings
    ///     .clone()
    ///     // payments: reconfigured (consecutive_failures 5 -> 3), by alice (incident 4711)
    ///     .on_event(|event| println!("{event}"))
    ///     .build()?;
    /// let operator = Operator::new("alice", "incident 4711");
    /// let window = breaker.reconfigure_by(settings.consecutive_failures(3), operator)?;
    /// assert_eq!(window, Reconfigured::WindowKept);
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// ```
    pub fn reconfigure_by(
        &self,
        settings: CircuitBreakerBuilder,
        operator: Operator,
    ) -> Result<Reconfigured, ConfigError> {
        on_behalf_of(operator, || self.reconfigure(settings))
    }

    /// Sets the share of rejections that are enforced, from 0.0 (shadow mode) to 1.0 (all of them, the default). See
    /// [`CircuitBreakerBuilder::enforcement`].
    ///
    /// This changes neither the state nor what has been counted. Listeners are notified of an
    /// [operator's action](crate::EventKind::OperatorAction).
    ///
    /// # Errors
    /// Returns an error if `share` is not from 0.0 to 1.0. The share stays as it was.
    ///
    /// # Example
    /// ```
    /// let breaker = tower_breaker::CircuitBreaker::builder("payments").enforcement(0.0).build()?;
    /// breaker.set_enforcement(0.25)?;
    /// assert_eq!(breaker.snapshot().enforcement(), 0.25);
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// ```
    pub fn set_enforcement(&self, share: f64) -> Result<(), ConfigError> {
        self::share("enforcement", share)?;
        self.circuit().operate(OperatorAction::SetEnforcement { share });
        Ok(())
    }

    /// Changes the settings while the circuit works. Returns what became of the sliding window.
    ///
    /// Nothing trips or closes by the change itself: the next result is judged by the new rules.
    ///
    /// * The state, its age and the attempt stay, and so do the failure streak and the history. Calls in flight count
    ///   as before.
    /// * The window is kept if its shape is the same. A count window of another length keeps its newest results. Any
    ///   other window begins empty, and the grid of a time window begins at the change.
    /// * The wait of an open circuit may become shorter, never longer. It does not become shorter than a
    ///   [retry-after](crate::Permit::failure_retry_after) that the circuit has waited for so far.
    /// * Probes in flight keep their time, and later ones have the new one. If a new
    ///   [half-open rule](CircuitBreakerBuilder::half_open) asks for fewer reports than there are already, the next
    ///   report decides.
    /// * If the new settings time calls and the former ones did not, the calls that are in flight already are never
    ///   slow. [`abandoned_after`](CircuitBreakerBuilder::abandoned_after) applies to calls that are admitted after it
    ///   has been set.
    ///
    /// The name and the listeners stay. Those of `settings` are ignored. The share of rejections that are enforced stays
    /// as well, unless `settings` [sets it](CircuitBreakerBuilder::enforcement). Listeners are notified by
    /// [`EventKind::Reconfigured`](crate::EventKind::Reconfigured), unless the settings are what they were.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, as [`build`](CircuitBreakerBuilder::build) does. All settings stay
    /// as they were.
    ///
    /// # Example
    /// ```
    /// use tower_breaker::{CircuitBreaker, Reconfigured, SlidingWindow};
    ///
    /// let settings = CircuitBreaker::builder("payments")
    ///     .failure_rate_threshold(0.5)
    ///     .sliding_window(SlidingWindow::count(100));
    /// let breaker = settings.clone().build()?;
    /// breaker.try_acquire().unwrap().failure();
    ///
    /// let stricter = settings.failure_rate_threshold(0.2);
    /// assert_eq!(breaker.reconfigure(stricter)?, Reconfigured::WindowKept);
    /// assert_eq!(breaker.snapshot().failures(), 1);
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "a builder is passed as `build` takes it")]
    pub fn reconfigure(
        &self,
        settings: CircuitBreakerBuilder,
    ) -> Result<Reconfigured, ConfigError> {
        let rules = settings.rules()?;
        Ok(self.circuit().reconfigure(Arc::new(rules), settings.enforcement))
    }
}
