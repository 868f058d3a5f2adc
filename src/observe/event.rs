//! What happens to a circuit, told to those who listen.

use std::fmt;
use std::time::Duration;

use super::transition::Transition;
use crate::circuit::{Rejected, SettledCall};
use crate::machine::{Counted, OperatorAction, Report};

/// Something that happened to a circuit: what a [`Listener`] is told.
///
/// Its `Display` is one line for a log.
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
}

impl<'a> Event<'a> {
    pub(crate) fn new(breaker: &'a str, kind: EventKind<'a>) -> Self {
        Self { breaker, kind }
    }

    /// The name of the breaker.
    #[must_use]
    pub fn breaker(&self) -> &'a str {
        self.breaker
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> EventKind<'a> {
        self.kind
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaker = self.breaker;
        match self.kind {
            EventKind::Transition(transition) => transition.fmt(f),
            EventKind::OperatorAction(action) => write!(f, "{breaker}: {action}"),
            EventKind::ProbeTimedOut => write!(f, "{breaker}: a probe timed out"),
            EventKind::Rejected(rejected) => rejected.fmt(f),
            EventKind::ProbeAdmitted => write!(f, "{breaker}: a probe was admitted"),
            EventKind::Settled(settled) => write!(f, "{breaker}: {settled}"),
        }
    }
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// The circuit changed its state.
    Transition(&'a Transition),
    /// Somebody called one of the methods by which a circuit is operated, whether that changed
    /// anything or not.
    OperatorAction(OperatorAction),
    /// The oldest probe in flight did not report within the
    /// [probe timeout](crate::CircuitBreakerBuilder::probe_timeout). The transition follows.
    ProbeTimedOut,
    /// A call was turned away.
    Rejected(&'a Rejected),
    /// A call was admitted while half-open.
    ProbeAdmitted,
    /// A call that was admitted has ended.
    Settled(Settled),
}

impl EventKind<'_> {
    /// How much one must want to hear of, to hear of this.
    pub(crate) fn interest(&self) -> Interest {
        match self {
            Self::Transition(_) | Self::OperatorAction(_) | Self::ProbeTimedOut => {
                Interest::Transitions
            }
            Self::Rejected(_) | Self::ProbeAdmitted => Interest::Rejections,
            Self::Settled(_) => Interest::Calls,
        }
    }
}

/// How an admitted call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    ending: Ending,
    duration: Option<Duration>,
    is_slow: bool,
    is_stale: bool,
}

impl Settled {
    pub(super) fn new(call: &SettledCall) -> Self {
        let ending = match (call.verdict.counted, call.report) {
            (Some(Counted::Success), _) => Ending::Success,
            (Some(Counted::Failure), _) => Ending::Failure,
            (Some(Counted::SoftFailure), _) => Ending::SoftFailure,
            (None, Report::Ignored) => Ending::Ignored,
            (None, _) => Ending::Abandoned,
        };
        let duration = call.took.map(Duration::from_nanos);
        Self { ending, duration, is_slow: call.verdict.slow, is_stale: call.is_stale }
    }

    /// How it ended.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// How long it took from its admission on; `None` if no listener wants to know
    /// ([`Interest::Durations`]) and no rule of the breaker needs it.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// Whether it succeeded or failed and took at least the
    /// [slow call duration](crate::CircuitBreakerBuilder::slow_call_duration_threshold).
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// Whether its result was dropped, because the period that had admitted it was over.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a call ended: {}", self.ending)?;
        if let Some(duration) = self.duration {
            write!(f, " after {duration:.1?}")?;
        }
        if self.is_slow {
            f.write_str(", slow")?;
        }
        if self.is_stale {
            f.write_str(", too late to count")?;
        }
        Ok(())
    }
}

/// How an admitted call ended: its outcome, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It succeeded.
    Success,
    /// It failed; also if it was abandoned so late that this counts as a failure.
    Failure,
    /// Its result says nothing about the health of the dependency.
    Ignored,
    /// It was dropped before it had a result.
    Abandoned,
    /// The dependency is overloaded, not broken: [`Outcome::SoftFailure`](crate::Outcome::SoftFailure).
    SoftFailure,
}

impl fmt::Display for Ending {
    /// `success`, `failure`, `ignored`, `abandoned` or `soft failure`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Ignored => "ignored",
            Self::Abandoned => "abandoned",
            Self::SoftFailure => "soft failure",
        })
    }
}

/// One who is told what happens to a circuit; a closure `|event: &Event<'_>|` is one.
///
/// A listener is called after the state has changed and without any lock held, on the thread that
/// caused the event, so it should be quick. If it panics, nothing else is harmed. It may use this
/// breaker and others; what it does there is not told as [`Rejected`](EventKind::Rejected),
/// [`ProbeAdmitted`](EventKind::ProbeAdmitted), [`Settled`](EventKind::Settled) or
/// [`OperatorAction`](EventKind::OperatorAction), as it would be told for ever. Transitions that it
/// causes are told, and if it is told what a single call did, it is told them before its own method
/// returns; so it should hold no lock of its own meanwhile. A listener that owns a handle of its own
/// breaker keeps that alive for ever.
///
/// Transitions, actions of operators and probes that timed out are told one at a time and in order.
/// What single calls do is told at once, so by several threads at the same time, and possibly before
/// a transition that happened earlier.
///
/// # Example
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use tower_breaker::{CircuitBreaker, Event, EventKind, Interest, Listener};
///
/// #[derive(Default)]
/// struct Rejections(AtomicU64);
///
/// impl Listener for Rejections {
///     fn on_event(&self, event: &Event<'_>) {
///         if let EventKind::Rejected(_) = event.kind() {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
///
///     fn interest(&self) -> Interest {
///         Interest::Rejections // healthy calls cost nothing
///     }
/// }
///
/// let breaker = CircuitBreaker::builder("payments").listener(Rejections::default()).build()?;
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
pub trait Listener: Send + Sync + 'static {
    /// Is told what happened.
    fn on_event(&self, event: &Event<'_>);

    /// How much it wants to hear of; [`Interest::Durations`], that is everything, unless it says
    /// otherwise. It is asked once, when the breaker is built, and hears of no more.
    fn interest(&self) -> Interest {
        Interest::Durations
    }
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Listener for F {
    fn on_event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// How much a [`Listener`] wants to hear of. Each includes those before it, and costs more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interest {
    /// Transitions, actions of operators, probes that timed out: nothing that a call pays for.
    Transitions,
    /// Rejections and admitted probes: nothing that a healthy call pays for.
    Rejections,
    /// How calls end: a healthy call calls the listener.
    Calls,
    /// How long calls take: a healthy call looks at the clock twice.
    Durations,
}
