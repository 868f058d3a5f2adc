//! [`Interest`]: how much a listener receives.

/// Which events a [`Listener`](crate::Listener) receives. Each level includes the ones before it, and
/// costs more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Interest {
    /// Transitions, operator actions and probe timeouts. No call pays for these.
    Transitions,
    /// Also rejections and admitted probes. No call of a closed circuit pays for these.
    Rejections,
    /// Also how calls end. Every call calls the listener.
    Calls,
    /// Also how long calls take. Every call calls the listener and reads the clock twice.
    Durations,
}
