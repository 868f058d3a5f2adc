//! The steps of a run.

use std::time::Duration;

use crate::reference::Ending;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    /// Asks for admission and keeps the permit.
    Acquire,
    /// Ends a call that is in flight, if there is one.
    End(Which, Ending),
    /// A call that is in flight begins to be answered, if there is one.
    Answered(Which),
    /// Asks for admission and ends the call at once, if it is admitted.
    Call(Ending),
    Advance(Span),
    Trip,
    Reset,
    /// Forces the circuit open, for some time or until it is resumed.
    ForceOpen(Option<Duration>),
    ForceClosed(Option<Duration>),
    Resume,
    /// Suspects the circuit for some time.
    Suspect(Duration),
    /// Saves the circuit, drops it, and primes another one with what was saved so long ago. Calls in flight are those of
    /// a breaker that is gone.
    Restart(Duration),
    /// Sets the share of rejections that are enforced, in 64ths.
    SetEnforcement(u32),
    /// Changes the settings to others of the run. The index is modulo their number.
    Reconfigure(usize),
    /// Ends a call of an earlier breaker that has been dropped.
    EndOrphan(Ending),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Newest,
    Oldest,
    /// The one with this index, modulo the number of calls.
    Any(usize),
}

/// A duration.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span {
    Nothing,
    Millis(u64),
    Year,
    Until(Mark, Edge),
}

/// Something that happens some time from now.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    RetryAfter,
    /// The oldest probe times out.
    ProbeDeadline,
    /// An operator lets go of the circuit.
    ForceEnd,
    /// The suspicion ends.
    SuspicionEnd,
    SlowDuration,
    HungAfter,
    /// The time in which a call hangs, whatever the quarter in which it began.
    Hung,
    AbandonedAfter,
    /// The share of a ramp has grown by a tenth.
    RampStep,
    /// A ramp is over.
    Ramp,
    /// One attempt later is forgotten.
    Forgetting,
    /// One bucket later.
    Bucket,
    /// The next bucket begins.
    NextBucket,
    /// The oldest call leaves the time window.
    Expiry,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Edge {
    JustBefore,
    Exactly,
    JustAfter,
}
