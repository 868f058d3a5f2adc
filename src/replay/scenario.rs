//! [`Scenario`]: made-up traffic.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::call::{Call, LONGEST};
use super::trace::Trace;
use super::traffic::{Private, Queue, Workload};
use crate::observe::Ending;

/// How long a call takes while the dependency is well.
const HEALTHY_CALL: Duration = Duration::from_millis(20);

/// Made-up traffic: a dependency that is well, then has an incident, and then is well again.
///
/// Calls come evenly. While the dependency is well, each takes 20 ms and succeeds. The incident begins after 60 s, lasts
/// for 60 s, and is followed by 180 s, unless the scenario says otherwise or
/// [`lasting`](Self::lasting), [`healthy_before`](Self::healthy_before) or [`healthy_after`](Self::healthy_after) is used.
/// Everything about a scenario is fixed, so that it gives the same result each time.
///
/// A time or a duration of more than 20 years is taken as 20 years, such as a call that is never answered.
///
/// # Panics
/// The constructors panic if a rate is 0 or higher than a million calls per second, and if a share is not from 0.0 to 1.0.
/// Whoever uses a scenario panics if it has more than 100 million calls.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker::replay::{self, Scenario};
///
/// let half_fails = Scenario::brown_out(10, 0.5).lasting(Duration::from_secs(20));
/// let report = replay::run(&CircuitBreaker::builder("search"), &half_fails)?;
/// println!("{report}");
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    kind: Kind,
    /// The time between two calls: `interval.0` nanoseconds are shared by `interval.1` calls.
    interval: (u64, u64),
    before: Duration,
    incident: Duration,
    after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    AlwaysFailing,
    BlackHole { timeout: Duration },
    BrownOut { share: f64 },
    Slow { duration: Duration },
    Flapping { period: Duration },
    OneLostConnection { calls: u32 },
    Overload { capacity: u32, timeout: Duration },
}

const SECOND: u64 = 1_000_000_000;

/// So many take seven gigabytes.
const MOST_CALLS: u128 = 100_000_000;

impl Scenario {
    /// Every call of the incident fails after 20 ms.
    ///
    /// `rate` is the number of calls per second, as in the other scenarios.
    #[must_use]
    pub fn always_failing(rate: u32) -> Self {
        Self::new(rate, Kind::AlwaysFailing)
    }

    /// No call of the incident is answered. The caller gives up after `timeout`, which is a failure.
    #[must_use]
    pub fn black_hole(rate: u32, timeout: Duration) -> Self {
        Self::new(rate, Kind::BlackHole { timeout })
    }

    /// In the incident, a share of the calls fails, from 0.0 to 1.0. A fixed sequence decides which ones, as if by chance.
    #[must_use]
    pub fn brown_out(rate: u32, share: f64) -> Self {
        assert!((0.0..=1.0).contains(&share), "a share of {share} (allowed: 0.0 to 1.0)");
        Self::new(rate, Kind::BrownOut { share })
    }

    /// In the incident, each call succeeds and takes this long.
    #[must_use]
    pub fn slow(rate: u32, duration: Duration) -> Self {
        Self::new(rate, Kind::Slow { duration })
    }

    /// In the incident, the dependency fails every call for `period`, is well for as long, fails again, and so on.
    #[must_use]
    pub fn flapping(rate: u32, period: Duration) -> Self {
        Self::new(rate, Kind::Flapping { period: period.max(Duration::from_nanos(1)) })
    }

    /// A connection is lost once: `calls` calls in a row fail at the same moment, as those do that shared a connection.
    /// A breaker had better ignore that.
    #[must_use]
    pub fn one_lost_connection(rate: u32, calls: u32) -> Self {
        Self::new(rate, Kind::OneLostConnection { calls })
    }

    /// One call per minute, for 30 minutes each before, in and after the incident, in which each call fails.
    #[must_use]
    pub fn one_request_a_minute() -> Self {
        let half_an_hour = Duration::from_secs(30 * 60);
        let interval = (60 * SECOND, 1);
        Self { interval, ..Self::new(1, Kind::AlwaysFailing) }
            .healthy_before(half_an_hour)
            .lasting(half_an_hour)
            .healthy_after(half_an_hour)
    }

    /// A dependency that serves one call after the other, `capacity` calls per second, stalls for 10 s. The calls that
    /// come meanwhile wait in its queue, and their callers give up after `timeout`. They are served all the same.
    ///
    /// This is the only scenario in which less load helps: the queue becomes shorter only by calls that are not made. Where
    /// `rate` is nearly `capacity`, the calls keep failing long after the stall, unless a breaker sheds some.
    #[must_use]
    pub fn overload(rate: u32, capacity: u32, timeout: Duration) -> Self {
        check_rate(capacity);
        Self::new(rate, Kind::Overload { capacity, timeout }).lasting(Duration::from_secs(10))
    }

    /// Sets how long the incident lasts. A [lost connection](Self::one_lost_connection) lasts as long as its calls, so this
    /// changes nothing about it.
    #[must_use]
    pub fn lasting(self, incident: Duration) -> Self {
        Self { incident: incident.min(LONGEST), ..self }
    }

    /// Sets how long the dependency is well before the incident.
    #[must_use]
    pub fn healthy_before(self, before: Duration) -> Self {
        Self { before: before.min(LONGEST), ..self }
    }

    /// Sets how long the dependency is well after the incident.
    #[must_use]
    pub fn healthy_after(self, after: Duration) -> Self {
        Self { after: after.min(LONGEST), ..self }
    }

    /// Returns the calls, as they end if none is shed.
    #[must_use]
    pub fn trace(&self) -> Trace {
        let mut workload = self.workload();
        workload.serve_all();
        workload.calls.into_owned().into_iter().collect()
    }

    fn new(rate: u32, kind: Kind) -> Self {
        check_rate(rate);
        let minute = Duration::from_secs(60);
        let interval = (SECOND, rate.into());
        Self { kind, interval, before: minute, incident: minute, after: 3 * minute }
    }

    fn incident(&self) -> Range<Duration> {
        let (nanos, n) = self.interval;
        let length = match self.kind {
            Kind::OneLostConnection { calls } => Duration::from_nanos(nanos * u64::from(calls) / n),
            _ => self.incident,
        };
        self.before..self.before + length
    }

    fn calls(&self) -> Vec<Call> {
        let (nanos, n) = self.interval;
        let end = self.incident().end + self.after;
        let count = end.as_nanos() * u128::from(n) / u128::from(nanos);
        assert!(count <= MOST_CALLS, "{self}: {count} calls (allowed: {MOST_CALLS})");
        let times = (0..).map(|i| Duration::from_nanos(i * nanos / n));
        times
            .take_while(|at| *at < end)
            .enumerate()
            .map(|(i, at)| self.call(i as u64, at))
            .collect()
    }

    fn call(&self, i: u64, at: Duration) -> Call {
        let well = Call::new(at, Ending::Success, HEALTHY_CALL);
        let failed = Call { ending: Some(Ending::Failure), ..well.clone() };
        let incident = self.incident();
        if !incident.contains(&at) {
            return well;
        }
        match self.kind {
            Kind::AlwaysFailing => failed,
            Kind::BlackHole { timeout } => Call { duration: timeout.min(LONGEST), ..failed },
            Kind::BrownOut { share } if drawn(i) < share => failed,
            Kind::Slow { duration } => Call { duration: duration.min(LONGEST), ..well },
            Kind::Flapping { period } if is_down(at - incident.start, period) => failed,
            Kind::OneLostConnection { .. } => Call { duration: incident.end - at, ..failed },
            Kind::BrownOut { .. } | Kind::Flapping { .. } | Kind::Overload { .. } => well,
        }
    }

    fn queue(&self) -> Option<Queue> {
        let Kind::Overload { capacity, timeout } = self.kind else { return None };
        let service = Duration::from_secs(1) / capacity;
        let timeout = timeout.min(LONGEST);
        Some(Queue { service, timeout, stalled: self.incident(), busy_until: Duration::ZERO })
    }
}

fn check_rate(rate: u32) {
    assert!(
        (1..=1_000_000).contains(&rate),
        "a rate of {rate} calls per second (allowed: 1 to 1000000)"
    );
}

fn is_down(since: Duration, period: Duration) -> bool {
    since.as_nanos() / period.as_nanos() % 2 == 0
}

/// Returns a number from 0.0 to below 1.0 for each `i`, by the mixing function of splitmix64.
fn drawn(i: u64) -> f64 {
    let mut x = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

impl Private for Scenario {
    fn workload(&self) -> Workload<'_> {
        Workload {
            name: self.to_string().into(),
            calls: self.calls().into(),
            incident: Some(self.incident()),
            queue: self.queue(),
        }
    }
}

impl fmt::Display for Scenario {
    /// Prints the scenario for people: `a black hole of 60s: 50 calls per second, each fails after 1s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let incident = self.incident;
        let rate = match self.interval {
            (SECOND, 1) => "1 call per second".into(),
            (SECOND, rate) => format!("{rate} calls per second"),
            _ => "one call per minute".into(),
        };
        match self.kind {
            Kind::AlwaysFailing => write!(f, "an outage of {incident:?}: {rate}, each fails"),
            Kind::BlackHole { timeout } => {
                write!(f, "a black hole of {incident:?}: {rate}, each fails after {timeout:?}")
            }
            Kind::BrownOut { share } => {
                write!(f, "a brown-out of {incident:?}: {rate}, a share of {share} fails")
            }
            Kind::Slow { duration } => {
                write!(f, "a slow-down of {incident:?}: {rate}, each takes {duration:?}")
            }
            Kind::Flapping { period } => {
                write!(f, "{incident:?} of flapping: {rate}, down and up for {period:?} each")
            }
            Kind::OneLostConnection { calls } => {
                write!(f, "one lost connection: {rate}, {calls} fail at once")
            }
            Kind::Overload { capacity, timeout } => write!(
                f,
                "a stall of {incident:?}: {rate}, {capacity} can be served, each fails after {timeout:?}"
            ),
        }
    }
}
