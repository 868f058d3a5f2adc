//! [`Event`]: what happened to a circuit, as listeners see it.

use std::fmt;
use std::time::Duration;

use super::interest::Interest;
use super::operator::Operator;
use super::reconfiguration::Reconfiguration;
use super::settled::Settled;
use super::transition::Transition;
use crate::circuit::{Escaped, Rejected};
use crate::machine::OperatorAction;

/// Something that happened to a circuit. [`Listener`](crate::Listener)s receive events.
///
/// `Display` prints one line for a log. Control characters in the name of the breaker are escaped.
///
/// # Example
/// ```
/// use tower_breaker::{CircuitBreaker, Event, EventKind};
///
/// let breaker = CircuitBreaker::builder("payments")
///     .on_event(|event: &Event<'_>| match event.kind() {
///         EventKind::Transition(transition) => println!("{transition}"),
///         EventKind::Rejected(rejected) => println!("{rejected}"),
///         _ => {}
///     })
///     .build()?;
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event<'a> {
    breaker: &'a str,
    kind: EventKind<'a>,
    operator: Option<&'a Operator>,
}

impl<'a> Event<'a> {
    pub(crate) fn new(breaker: &'a str, kind: EventKind<'a>) -> Self {
        Self { breaker, kind, operator: None }
    }

    pub(super) fn by(self, operator: Option<&'a Operator>) -> Self {
        Self { operator, ..self }
    }

    /// Returns the name of the breaker as it was given. `Display` escapes it.
    #[must_use]
    pub fn breaker(&self) -> &'a str {
        self.breaker
    }

    /// Returns what happened.
    #[must_use]
    pub fn kind(&self) -> EventKind<'a> {
        self.kind
    }

    /// Returns who [operated](crate::CircuitBreaker::operate) the circuit, and why.
    ///
    /// Returns `None` if nobody did or if it is not known, because a method such as
    /// [`force_open`](crate::CircuitBreaker::force_open) does not ask.
    #[must_use]
    pub fn operator(&self) -> Option<&'a Operator> {
        self.operator
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaker = Escaped(self.breaker);
        match self.kind {
            EventKind::Transition(transition) => transition.fmt(f),
            EventKind::OperatorAction(action) => write!(f, "{breaker}: {action}"),
            EventKind::Reconfigured(reconfiguration) => write!(f, "{breaker}: {reconfiguration}"),
            EventKind::ProbeTimedOut => write!(f, "{breaker}: a probe timed out"),
            EventKind::Recovering { over } => write!(f, "{breaker}: recovering over {over:?}"),
            EventKind::Rejected(rejected) => rejected.fmt(f),
            EventKind::WouldReject(rejected) => {
                write!(f, "{breaker}: would have rejected a call: {}", rejected.reason())
            }
            EventKind::ProbeAdmitted => write!(f, "{breaker}: a probe was admitted"),
            EventKind::Settled(settled) => write!(f, "{breaker}: {settled}"),
            EventKind::Lagged { missed: 1 } => write!(f, "{breaker}: missed 1 event"),
            EventKind::Lagged { missed } => write!(f, "{breaker}: missed {missed} events"),
            EventKind::RegistryFull { capacity, unkept_calls } => {
                let s = if unkept_calls == 1 { "" } else { "s" };
                write!(f, "{breaker}: the registry is full (capacity {capacity}): ")?;
                write!(f, "{unkept_calls} call{s} went through circuits that are not kept")
            }
        }?;
        self.operator.map_or(Ok(()), |operator| write!(f, ", by {operator}"))
    }
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// The circuit changed its state.
    Transition(&'a Transition),
    /// One of the methods that operate a circuit was called. It is reported even if it had no effect.
    OperatorAction(OperatorAction),
    /// The settings have [changed](crate::CircuitBreaker::reconfigure).
    Reconfigured(&'a Reconfiguration),
    /// A probe did not report within its [time](crate::CircuitBreakerBuilder::probe_timeout). Unless the probes
    /// are a [sample](crate::HalfOpen::sample), the transition to open follows.
    ProbeTimedOut,
    /// The probes have succeeded, and the circuit begins its [ramp](crate::HalfOpen::ramp). Its state stays
    /// half-open.
    Recovering {
        /// For how long a growing share of the calls is admitted before the circuit closes.
        over: Duration,
    },
    /// A call was rejected.
    Rejected(&'a Rejected),
    /// A call was turned away and is made all the same, because this rejection is not
    /// [enforced](crate::CircuitBreakerBuilder::enforcement). How the call ends is reported as
    /// [`Settled`](Self::Settled) with the mark [`is_shadow`](Settled::is_shadow).
    WouldReject(&'a Rejected),
    /// A call was admitted as a probe, because the circuit is half-open.
    ProbeAdmitted,
    /// A call that had been admitted ended.
    Settled(Settled),
    /// The listeners are too slow: transitions, operator actions or probe timeouts were dropped before they
    /// could be reported. See [`Listener`](crate::Listener#order).
    Lagged {
        /// The number of events that were dropped.
        missed: u64,
    },
    /// A registry of circuits has no capacity left: it could not keep a new circuit, because the circuits that
    /// it looked at are all busy. Calls through such a circuit are made, and their results have no effect.
    ///
    /// Each registry reports this once a minute at most. The name of the breaker is that of the registry's
    /// template. See [which circuits are kept](keyed/index.html#which-circuits-are-kept).
    RegistryFull {
        /// How many circuits the registry keeps at most.
        capacity: u64,
        /// How many calls were made through circuits that are not kept since the last event of this kind.
        unkept_calls: u64,
    },
}

impl EventKind<'_> {
    /// Returns the least interest that a listener must have to receive this event.
    pub(super) fn interest(&self) -> Interest {
        match self {
            Self::Transition(_)
            | Self::OperatorAction(_)
            | Self::Reconfigured(_)
            | Self::ProbeTimedOut
            | Self::Recovering { .. }
            | Self::Lagged { .. }
            | Self::RegistryFull { .. } => Interest::Transitions,
            Self::Rejected(_) | Self::WouldReject(_) | Self::ProbeAdmitted => Interest::Rejections,
            Self::Settled(_) => Interest::Calls,
        }
    }
}
