//! What is done to a circuit, step by step.

use crate::reference::Ending;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    /// Asks for admission and keeps the permit.
    Acquire,
    /// Ends a call that is in flight, if there is one.
    End(Which, Ending),
    /// Asks for admission and ends the call at once, if it is admitted.
    Call(Ending),
    Advance(Span),
    Trip,
    Reset,
    ForceOpen,
    ForceClosed,
    Resume,
    /// Ends a call of an earlier breaker that is gone.
    EndOrphan(Ending),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Newest,
    Oldest,
    /// The one at this place in the list, counted in a circle.
    Any(usize),
}

/// A length of time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span {
    Nothing,
    Millis(u64),
    Year,
    Until(Mark, Edge),
}

/// Something that happens after a time, from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    RetryAfter,
    /// The end of the oldest probe's time.
    ProbeDeadline,
    SlowDuration,
    AbandonedAfter,
    /// The length of one bucket.
    Bucket,
    /// The next line of the window's grid.
    NextBucket,
    /// The oldest call in a time window drops out of it.
    Expiry,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Edge {
    JustBefore,
    Exactly,
    JustAfter,
}
