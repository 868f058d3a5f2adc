//! When calls count that are in flight.

use std::time::Duration;

use super::CircuitBreakerBuilder;

impl CircuitBreakerBuilder {
    /// Counts a call as failed while it is in flight for `d` (longer than zero) or longer. By default, a call counts
    /// when it ends, so a dependency that hangs is noticed only when the timeouts of its callers end.
    ///
    /// Choose a time that healthy calls rarely reach. It may be much shorter than the timeout.
    ///
    /// Such a call is not recorded. It is added to what the trip rules judge for as long as it is in flight, and when
    /// it ends it is recorded as what it was. So a call that is merely long counts as a success in the end, and no call
    /// counts twice:
    ///
    /// * To [`consecutive_failures`](Self::consecutive_failures), the calls that have hung since the last success
    ///   continue the failure streak. Both are known to the quarter of `d`: a success in the quarter that ends when a call
    ///   begins to hang comes after that. So long calls never trip a circuit in which a call succeeds in each quarter of
    ///   `d`. The cause of a trip by them is [`Cause::Hung`](crate::Cause::Hung).
    /// * To the rates, the failure count and [`minimum_calls`](Self::minimum_calls), a call that hangs is one more call
    ///   and one more failure. In a time window it weighs until the moment at which it began to hang leaves the window,
    ///   and in a count window of n calls until n further results have been recorded. So a permit that is leaked does
    ///   not weigh for ever.
    ///
    /// A call hangs at the end of the quarter of `d` in which it began, plus `d`: after `d` at the earliest and after
    /// 1.25 times `d` at the latest. No timer and no task looks for this. The next call that asks or ends does, and
    /// the open period begins then. Only calls of the present closed period count, and calls that were admitted before
    /// this was set do not. A probe has [a time of its own](Self::probe_timeout). While an operator holds the circuit
    /// closed, calls that hang trip nothing.
    ///
    /// A call that has [been answered](crate::Permit::answered) ages no further. The classifiers for HTTP and gRPC say
    /// so when the head of a response has come, so streams never hang.
    ///
    /// [`Snapshot::hung_calls`](crate::Snapshot::hung_calls) returns how many calls hang.
    ///
    /// # Cost
    /// Each call takes two more atomic updates in memory that its thread rarely shares, and reads the clock twice. Once
    /// in each quarter of `d`, a call takes the lock. A circuit needs 192 bytes more for each core, with the
    /// number of cores rounded up to a power of two and at most 16, next to what it keeps of the calls that are overdue.
    pub fn hung_after(mut self, d: Duration) -> Self {
        self.hung_after = Some(d);
        self
    }

    /// Sets whether a call counts as slow while it is in flight for the
    /// [slow-call duration](Self::slow_call_duration_threshold) or longer (by default not: a call is slow when it has
    /// ended).
    ///
    /// It counts in the way that [`hung_after`](Self::hung_after) describes, as one more call and one more slow call,
    /// and between 1 and 1.25 times the duration after its admission. A call that hangs counts as both failed and slow.
    ///
    /// [`build`](Self::build) returns an error if this is set without a slow-call duration.
    pub fn slow_in_flight(mut self, counts: bool) -> Self {
        self.slow_in_flight = counts;
        self
    }
}
