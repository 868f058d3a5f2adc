//! The settings: plain data, validated once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::ConfigError;
use crate::breaker::CircuitBreaker;
use crate::machine::{Backoff, HalfOpen, SlidingWindow};
#[cfg(feature = "keyed")]
use crate::observe::RegistryObserver;
use crate::observe::{Event, EventKind, Interest, Listener, Series, Transition};

/// Settings for a [`CircuitBreaker`]; from [`CircuitBreaker::builder`], or with the feature `serde`
/// from a file, by `Config`.
///
/// A trip rule is on when its setter was called, and any rule that holds trips the circuit. If none
/// of the three was called, the defaults are 5 consecutive failures, or a failure rate of 0.5.
///
/// | setting | default |
/// |---|---|
/// | [`consecutive_failures`](Self::consecutive_failures) | 5, if no trip rule is set |
/// | [`failure_rate_threshold`](Self::failure_rate_threshold) | 0.5, if no trip rule is set |
/// | [`slow_call_rate_threshold`](Self::slow_call_rate_threshold) | off |
/// | [`slow_call_duration_threshold`](Self::slow_call_duration_threshold) | none: no call is slow |
/// | [`sliding_window`](Self::sliding_window) | the last 30 s in 10 buckets |
/// | [`minimum_calls`](Self::minimum_calls) | 20 |
/// | [`open_duration`](Self::open_duration) | 5 s, doubling to 60 s, jitter 0.1 |
/// | [`half_open`](Self::half_open) | 3 consecutive successes |
/// | [`probe_timeout`](Self::probe_timeout) | 30 s |
/// | [`abandoned_after`](Self::abandoned_after) | never: abandoned calls are neutral |
/// | [`max_retry_after`](Self::max_retry_after) | 5 min |
/// | [`trip_on_retry_after`](Self::trip_on_retry_after) | no |
///
/// # Example
/// ```
/// use std::time::Duration;
/// use tower_breaker::{Backoff, CircuitBreaker, HalfOpen, SlidingWindow};
///
/// let breaker = CircuitBreaker::builder("payments")
///     .failure_rate_threshold(0.3)
///     .slow_call_duration_threshold(Duration::from_secs(2))
///     .slow_call_rate_threshold(0.8)
///     .sliding_window(SlidingWindow::count(200))
///     .minimum_calls(50)
///     .open_duration(Backoff::exponential(Duration::from_secs(1), Duration::from_secs(30)))
///     .half_open(HalfOpen::sample(10))
///     .build()?;
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct CircuitBreakerBuilder {
    name: Arc<str>,
    /// What the breaker is counted under: the first name of all that clones have.
    series: Series,
    pub(super) consecutive_failures: Option<u32>,
    pub(super) failure_count: Option<u32>,
    pub(super) failure_rate: Option<f64>,
    pub(super) no_trip_rules: bool,
    pub(super) slow_call_duration: Option<Duration>,
    pub(super) slow_call_rate: Option<f64>,
    pub(super) window: SlidingWindow,
    pub(super) minimum_calls: u32,
    pub(super) open_duration: Backoff,
    pub(super) half_open: HalfOpen,
    pub(super) probe_timeout: Duration,
    pub(super) abandoned_after: Option<Duration>,
    pub(super) max_retry_after: Duration,
    pub(super) trip_on_retry_after: bool,
    listeners: Vec<Arc<dyn Listener>>,
    counts_in_flight: bool,
}

impl CircuitBreaker {
    /// A breaker with the [defaults](CircuitBreakerBuilder), closed.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self::builder(name).build().expect("the defaults are valid")
    }

    /// A builder with the [defaults](CircuitBreakerBuilder). The `name` is for people: it appears in
    /// errors and transitions, and need not be unique.
    pub fn builder(name: impl Into<Arc<str>>) -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new(name.into())
    }
}

impl CircuitBreakerBuilder {
    fn new(name: Arc<str>) -> Self {
        Self {
            series: Series::new(name.clone()),
            name,
            consecutive_failures: None,
            failure_count: None,
            failure_rate: None,
            no_trip_rules: false,
            slow_call_duration: None,
            slow_call_rate: None,
            window: SlidingWindow::default(),
            minimum_calls: 20,
            open_duration: Backoff::default(),
            half_open: HalfOpen::default(),
            probe_timeout: Duration::from_secs(30),
            abandoned_after: None,
            max_retry_after: Duration::from_secs(300),
            trip_on_retry_after: false,
            listeners: Vec::new(),
            counts_in_flight: false,
        }
    }

    /// Trips after `n` failures in a row (at least 1). A success in between starts the run anew; a
    /// call that was ignored or abandoned neither continues nor ends it.
    pub fn consecutive_failures(mut self, n: u32) -> Self {
        self.consecutive_failures = Some(n);
        self
    }

    /// Trips when the [sliding window](Self::sliding_window) holds at least `n` failures (at least 1),
    /// however many calls it holds. In a time window this is a burst: 5 failures within 10 seconds, say, are
    /// worse than 5 within an hour. [`minimum_calls`](Self::minimum_calls) does not matter here.
    ///
    /// A count window has to be at least `n` calls long, or the rule could never hold;
    /// [`build`](Self::build) returns an error otherwise.
    pub fn failure_count_threshold(mut self, n: u32) -> Self {
        self.failure_count = Some(n);
        self
    }

    /// Trips when failures / calls in the [sliding window](Self::sliding_window) is at least `rate`
    /// (0 < rate <= 1) and the window holds at least [`minimum_calls`](Self::minimum_calls).
    ///
    /// It is judged after every recorded call, a success included; a call is booked when it
    /// completes. Calls that merely leave the window do not trip.
    pub fn failure_rate_threshold(mut self, rate: f64) -> Self {
        self.failure_rate = Some(rate);
        self
    }

    /// A call that takes at least `d` (longer than zero) is slow, whether it succeeds or fails. The
    /// time runs from the admission to the result: from `call` of the service, not from
    /// `poll_ready`.
    ///
    /// By itself this trips nothing: see
    /// [`slow_call_rate_threshold`](Self::slow_call_rate_threshold).
    pub fn slow_call_duration_threshold(mut self, d: Duration) -> Self {
        self.slow_call_duration = Some(d);
        self
    }

    /// Trips when slow calls / calls in the [sliding window](Self::sliding_window) is at least
    /// `rate` (0 < rate <= 1) and the window holds at least
    /// [`minimum_calls`](Self::minimum_calls).
    ///
    /// Needs [`slow_call_duration_threshold`](Self::slow_call_duration_threshold).
    pub fn slow_call_rate_threshold(mut self, rate: f64) -> Self {
        self.slow_call_rate = Some(rate);
        self
    }

    /// Has no rule that trips the circuit, not even the default rules. The circuit opens when
    /// [`trip`](crate::CircuitBreaker::trip) is called, or when a server asks for it and
    /// [`trip_on_retry_after`](Self::trip_on_retry_after) is set.
    ///
    /// Together with a trip rule, [`build`](Self::build) returns an error.
    pub fn no_trip_rules(mut self) -> Self {
        self.no_trip_rules = true;
        self
    }

    /// Which calls the rates are taken over, and failures are counted in. No window is kept if no rule
    /// needs it.
    pub fn sliding_window(mut self, window: SlidingWindow) -> Self {
        self.window = window;
        self
    }

    /// No rate is judged while the window holds fewer than `n` calls (at least 1). For a count
    /// window that is smaller than `n`, its size is the minimum.
    pub fn minimum_calls(mut self, n: u32) -> Self {
        self.minimum_calls = n;
        self
    }

    /// How long the circuit stays open before it admits a probe: a [`Duration`] longer than zero,
    /// or a [`Backoff`].
    pub fn open_duration(mut self, wait: impl Into<Backoff>) -> Self {
        self.open_duration = wait.into();
        self
    }

    /// How many probes are admitted while half-open, and how they decide.
    pub fn half_open(mut self, rule: HalfOpen) -> Self {
        self.half_open = rule;
        self
    }

    /// A probe that has not reported when `d` (longer than zero) has passed since its admission is a
    /// failed probe: the circuit opens again, from that moment on, and what the probe reports later
    /// is dropped.
    ///
    /// So whatever happens to probes, the next one is admitted within this time and the open wait.
    /// Choose it longer than any call that you would still call a success.
    ///
    /// In front of a service, a probe is admitted by the `poll_ready` that finds a place for it, so
    /// the time that the inner service takes to become ready is part of it.
    pub fn probe_timeout(mut self, d: Duration) -> Self {
        self.probe_timeout = d;
        self
    }

    /// Counts a call that is abandoned (dropped before it had a result) as a failure if at least `d`
    /// (longer than zero) has passed since its admission.
    ///
    /// If a response body carries the permit, as with the classifiers for HTTP and gRPC that settle a call
    /// at the end of its stream, the time is counted from the last sign of life: the admission, the
    /// response head, or the last frame. So a reader who stops reading a stream that is alive trips
    /// nothing.
    ///
    /// Set it, to a little less than the timeout, where a timeout *outside* the breaker drops the
    /// calls that hang. By default abandoned calls are neutral, because most are abandoned for
    /// reasons of the caller.
    pub fn abandoned_after(mut self, d: Duration) -> Self {
        self.abandoned_after = Some(d);
        self
    }

    /// Caps how long a server can keep the circuit open: a failure that is reported
    /// [with a wish to be left alone](crate::Permit::failure_retry_after), such as HTTP's
    /// `Retry-After`, and on which the circuit opens, keeps it open for at least that long, but no
    /// longer than `d` (longer than zero) unless the [wait](Self::open_duration) is.
    pub fn max_retry_after(mut self, d: Duration) -> Self {
        self.max_retry_after = d;
        self
    }

    /// Trips on the first failure that is reported
    /// [with a wish to be left alone](crate::Permit::failure_retry_after), whatever the rates are. A
    /// wish of zero is none.
    pub fn trip_on_retry_after(mut self, trips: bool) -> Self {
        self.trip_on_retry_after = trips;
        self
    }

    /// Calls `listener` after each change of state: in the order of the changes and one at a time.
    /// See [`Listener`] for what it may do.
    pub fn on_transition(self, listener: impl Fn(&Transition) + Send + Sync + 'static) -> Self {
        self.listener(OnTransition(listener))
    }

    /// Calls `listener` for everything that happens; healthy calls pay for it. See [`Listener`] for
    /// what it may do.
    pub fn on_event(self, listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.listener(listener)
    }

    /// Tells `listener` what happens. May be called several times; the listeners are told in that
    /// order.
    pub fn listener(mut self, listener: impl Listener) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Records how long calls take, in the
    /// [histogram](crate::metrics) `circuit_breaker_call_duration_seconds`. A healthy call looks at
    /// the clock twice then.
    #[cfg(feature = "metrics")]
    pub fn call_duration_histogram(mut self) -> Self {
        self.series = self.series.with_durations();
        self
    }

    /// Builds the breaker.
    ///
    /// # Errors
    /// A [`ConfigError`] for the first setting that is out of range; it names the setting, the value
    /// and what is allowed.
    pub fn build(self) -> Result<CircuitBreaker, ConfigError> {
        let rules = self.rules()?;
        Ok(CircuitBreaker::start(
            self.name,
            self.series,
            rules,
            self.listeners,
            self.counts_in_flight,
        ))
    }

    /// The same settings for the circuit of a key. Its calls in flight are counted.
    #[cfg(feature = "keyed")]
    pub(crate) fn for_key(&self, key: &impl fmt::Display) -> Self {
        let name = format!("{}/{key}", self.name).into();
        Self { name, counts_in_flight: true, ..self.clone() }
    }

    /// Returns what reports on a registry that has these settings as its template.
    #[cfg(feature = "keyed")]
    pub(crate) fn observer_of_registry(&self, capacity: u64) -> RegistryObserver {
        let Self { name, series, listeners, .. } = self;
        RegistryObserver::new(name.clone(), series.clone(), listeners.clone(), capacity)
    }
}

impl fmt::Debug for CircuitBreakerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerBuilder")
            .field("name", &self.name)
            .field("consecutive_failures", &self.consecutive_failures)
            .field("failure_count_threshold", &self.failure_count)
            .field("failure_rate_threshold", &self.failure_rate)
            .field("slow_call_duration_threshold", &self.slow_call_duration)
            .field("slow_call_rate_threshold", &self.slow_call_rate)
            .field("no_trip_rules", &self.no_trip_rules)
            .field("sliding_window", &self.window)
            .field("minimum_calls", &self.minimum_calls)
            .field("open_duration", &self.open_duration)
            .field("half_open", &self.half_open)
            .field("probe_timeout", &self.probe_timeout)
            .field("abandoned_after", &self.abandoned_after)
            .field("max_retry_after", &self.max_retry_after)
            .field("trip_on_retry_after", &self.trip_on_retry_after)
            .finish_non_exhaustive()
    }
}

struct OnTransition<F>(F);

impl<F: Fn(&Transition) + Send + Sync + 'static> Listener for OnTransition<F> {
    fn on_event(&self, event: &Event<'_>) {
        if let EventKind::Transition(transition) = event.kind() {
            (self.0)(transition);
        }
    }

    fn interest(&self) -> Interest {
        Interest::Transitions
    }
}
