//! [`CircuitBreakerBuilder`]: one method for each setting. `build` validates them.

mod in_flight;
mod primed;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::ConfigError;
use crate::breaker::CircuitBreaker;
use crate::machine::{Backoff, HalfOpen, Saved, SlidingWindow};
use crate::observe::{Audience, Event, EventKind, Interest, Listener, Series, Transition};

/// The settings of a [`CircuitBreaker`]. Create a builder with [`CircuitBreaker::builder`], or with the
/// feature `serde` read one from a file with `Config`.
///
/// The trip rules are `consecutive_failures`, `failure_count_threshold`, `failure_rate_threshold` and
/// `slow_call_rate_threshold`. Calling a setter turns its rule on, and any rule that holds trips the
/// circuit. Without any rule, the default is to trip after 5 consecutive failures or at a failure rate of
/// 0.5.
///
/// | setting | default |
/// |---|---|
/// | [`consecutive_failures`](Self::consecutive_failures) | 5, if no trip rule is set |
/// | [`failure_count_threshold`](Self::failure_count_threshold) | off |
/// | [`failure_rate_threshold`](Self::failure_rate_threshold) | 0.5, if no trip rule is set |
/// | [`slow_call_rate_threshold`](Self::slow_call_rate_threshold) | off |
/// | [`slow_call_duration_threshold`](Self::slow_call_duration_threshold) | none: no call is slow |
/// | [`sliding_window`](Self::sliding_window) | the last 30 s in 10 buckets |
/// | [`minimum_calls`](Self::minimum_calls) | 20 |
/// | [`open_duration`](Self::open_duration) | 5 s, doubling to 60 s, jitter 0.1 |
/// | [`half_open`](Self::half_open) | 3 consecutive successes |
/// | [`probe_timeout`](Self::probe_timeout) | 30 s |
/// | [`abandoned_after`](Self::abandoned_after) | never: abandoned calls are neutral |
/// | [`hung_after`](Self::hung_after) | never: calls count when they end |
/// | [`slow_in_flight`](Self::slow_in_flight) | no: calls are slow when they have ended |
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
    pub(super) name: Arc<str>,
    /// The metrics of the breaker. Clones keep the series of the first name.
    pub(super) series: Series,
    pub(super) consecutive_failures: Option<u32>,
    pub(super) failure_count: Option<u32>,
    pub(super) failure_rate: Option<f64>,
    pub(super) no_trip_rules: bool,
    pub(super) slow_call_duration: Option<Duration>,
    pub(super) slow_call_rate: Option<f64>,
    pub(super) slow_in_flight: bool,
    pub(super) hung_after: Option<Duration>,
    pub(super) window: SlidingWindow,
    pub(super) minimum_calls: u32,
    pub(super) open_duration: Backoff,
    pub(super) half_open: HalfOpen,
    pub(super) probe_timeout: Duration,
    pub(super) abandoned_after: Option<Duration>,
    pub(super) max_retry_after: Duration,
    pub(super) trip_on_retry_after: bool,
    pub(super) enforcement: Option<f64>,
    pub(super) primed: Option<Saved>,
    pub(super) listeners: Vec<Arc<dyn Listener>>,
}

impl CircuitBreaker {
    /// Creates a closed breaker with the [defaults](CircuitBreakerBuilder).
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self::builder(name).build().expect("the defaults are valid")
    }

    /// Creates a builder with the [defaults](CircuitBreakerBuilder). The `name` appears in errors, events,
    /// metrics and logs. It does not have to be unique.
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
            slow_in_flight: false,
            hung_after: None,
            window: SlidingWindow::default(),
            minimum_calls: 20,
            open_duration: Backoff::default(),
            half_open: HalfOpen::default(),
            probe_timeout: Duration::from_secs(30),
            abandoned_after: None,
            max_retry_after: Duration::from_secs(300),
            trip_on_retry_after: false,
            enforcement: None,
            primed: None,
            listeners: Vec::new(),
        }
    }

    /// Trips after `n` failures in a row (at least 1).
    ///
    /// A success ends a failure streak. A call that was ignored or abandoned, or that failed
    /// [softly](crate::Outcome::SoftFailure), neither continues nor ends it.
    pub fn consecutive_failures(mut self, n: u32) -> Self {
        self.consecutive_failures = Some(n);
        self
    }

    /// Trips when the [sliding window](Self::sliding_window) holds at least `n` failures (at least 1), however
    /// many calls it holds. [`minimum_calls`](Self::minimum_calls) does not apply.
    ///
    /// With a time window, this rule trips on bursts: 5 failures within 10 seconds, but not 5 within an hour.
    /// A count window must be at least `n` calls long; otherwise [`build`](Self::build) returns an error,
    /// because the rule could never hold.
    pub fn failure_count_threshold(mut self, n: u32) -> Self {
        self.failure_count = Some(n);
        self
    }

    /// Trips when the share of failures among the calls in the [sliding window](Self::sliding_window) reaches
    /// `rate` (0 < rate <= 1), and the window holds at least [`minimum_calls`](Self::minimum_calls) calls.
    ///
    /// A call is recorded when it completes. The rate is compared after every recorded call, whether it
    /// failed or succeeded. Calls that leave the window do not trip the circuit by themselves.
    pub fn failure_rate_threshold(mut self, rate: f64) -> Self {
        self.failure_rate = Some(rate);
        self
    }

    /// Counts calls that take at least `d` (longer than zero) as slow, whether they succeed or fail. By
    /// default, no call is slow.
    ///
    /// The time starts when the call is admitted, which for a service is in `call`, not in `poll_ready`. This
    /// setting alone does not trip the circuit; see
    /// [`slow_call_rate_threshold`](Self::slow_call_rate_threshold).
    pub fn slow_call_duration_threshold(mut self, d: Duration) -> Self {
        self.slow_call_duration = Some(d);
        self
    }

    /// Trips when the share of slow calls among the calls in the [sliding window](Self::sliding_window)
    /// reaches `rate` (0 < rate <= 1), and the window holds at least [`minimum_calls`](Self::minimum_calls)
    /// calls.
    ///
    /// [`build`](Self::build) returns an error if
    /// [`slow_call_duration_threshold`](Self::slow_call_duration_threshold) is not set as well.
    pub fn slow_call_rate_threshold(mut self, rate: f64) -> Self {
        self.slow_call_rate = Some(rate);
        self
    }

    /// Turns off all trip rules, including the defaults. The circuit then opens only when
    /// [`trip`](crate::CircuitBreaker::trip) is called or an operator forces it open, or on a retry-after if
    /// [`trip_on_retry_after`](Self::trip_on_retry_after) is set.
    ///
    /// [`build`](Self::build) returns an error if a trip rule is set as well.
    pub fn no_trip_rules(mut self) -> Self {
        self.no_trip_rules = true;
        self
    }

    /// Sets which calls the rates and the failure count are computed from. The default is the last 30 s in
    /// 10 buckets. No window is kept if no rule needs one.
    pub fn sliding_window(mut self, window: SlidingWindow) -> Self {
        self.window = window;
        self
    }

    /// Sets how many calls (at least 1, by default 20) the window must hold before a rate can trip the
    /// circuit. For a count window that is smaller than `n`, the minimum is its size.
    pub fn minimum_calls(mut self, n: u32) -> Self {
        self.minimum_calls = n;
        self
    }

    /// Sets how long the circuit stays open before it admits a probe: a constant [`Duration`] (longer than
    /// zero), or a [`Backoff`]. The default is 5 s, doubling up to 60 s, with a jitter of 0.1.
    pub fn open_duration(mut self, wait: impl Into<Backoff>) -> Self {
        self.open_duration = wait.into();
        self
    }

    /// Sets how many probes are admitted while half-open, and how their results open or close the circuit.
    /// The default is [`HalfOpen::consecutive_successes`] of 3. With [`HalfOpen::sample`],
    /// [`build`](Self::build) returns an error unless a rate rule is set.
    pub fn half_open(mut self, rule: HalfOpen) -> Self {
        self.half_open = rule;
        self
    }

    /// Sets how long a probe may take (longer than zero, by default 30 s). A probe that has not reported by
    /// then has failed at that moment, whenever that is noticed. What it reports later is dropped. Choose a
    /// time that is longer than any successful call.
    ///
    /// The time starts with the call. In front of a service, `poll_ready` takes the probe slot before the
    /// call, and a slot without a call expires after the same time. The probe has failed if the inner service
    /// was not ready at any poll during that time. If it was ready and was not called, the slot becomes free
    /// without a verdict. Such an idle slot also goes, at once, to a caller that finds no other slot.
    ///
    /// If probes succeed too late, later probes get twice the time of the longest of these, but at most ten
    /// times `d`, until the circuit closes or is reset. So a dependency recovers even if its healthy calls
    /// take longer than `d`. Whatever happens to probes and their callers, another probe is admitted within
    /// twice the time of a probe plus the open wait.
    pub fn probe_timeout(mut self, d: Duration) -> Self {
        self.probe_timeout = d;
        self
    }

    /// Counts a call that is abandoned (dropped before it has a result) as a failure if at least `d` (longer
    /// than zero) has passed since its admission. By default, abandoned calls are neutral, because most
    /// callers abandon calls for reasons of their own.
    ///
    /// Set this to a little less than the timeout if a timeout *outside* the breaker drops calls that hang.
    ///
    /// The classifiers for HTTP and gRPC may settle a call at the end of the response body. The time then
    /// counts from the last sign of life, which is the admission, the response head or the last frame. So a
    /// caller that stops reading a healthy stream does not trip the circuit.
    pub fn abandoned_after(mut self, d: Duration) -> Self {
        self.abandoned_after = Some(d);
        self
    }

    /// Caps how long a [retry-after](crate::Permit::failure_retry_after), such as HTTP's `Retry-After`, can
    /// keep the circuit open (longer than zero, by default 5 min).
    ///
    /// If a retry-after has not passed when the circuit opens, whatever opens it, the circuit stays open at
    /// least until then. This holds for every failure of the period, not only for the last one. A
    /// retry-after is first capped at `d` and then lengthened by up to the [jitter](Backoff::jitter) of the
    /// backoff, so that clients with the same retry-after do not return at once. The cap does not shorten
    /// the [open duration](Self::open_duration).
    pub fn max_retry_after(mut self, d: Duration) -> Self {
        self.max_retry_after = d;
        self
    }

    /// Sets whether the first failure with a [retry-after](crate::Permit::failure_retry_after) trips the
    /// circuit, whatever the trip rules say. The default is `false`. A retry-after of zero is ignored.
    pub fn trip_on_retry_after(mut self, trips: bool) -> Self {
        self.trip_on_retry_after = trips;
        self
    }

    /// Sets the share of rejections that are enforced, from 0.0 to 1.0. The default is 1.0, and 0.0 is *shadow mode*.
    ///
    /// The circuit works as if every rejection were enforced: it opens, waits, probes and closes at the same times.
    /// But a call that it turns away and that is not enforced is made all the same, with a
    /// [shadow permit](crate::Permit::is_shadow), and its result does not count. Listeners learn of such a call by
    /// [`WouldReject`](EventKind::WouldReject), and how it ended by [`Settled`](EventKind::Settled). So you see what
    /// the breaker would have done before you let it: the guide for
    /// [introducing a breaker](crate::docs::introducing) has the steps.
    ///
    /// The share goes by credit, not by chance: at 0.25, every fourth rejection of the circuit is enforced. Each
    /// circuit has its own credit, so a [key](keyed/index.html) that is seldom called is seldom rejected. A circuit that is
    /// [forced open](CircuitBreaker::force_open) rejects every call.
    ///
    /// [`set_enforcement`](CircuitBreaker::set_enforcement) changes the share while the circuit works.
    ///
    /// # Example
    /// ```
    /// use tower_breaker::CircuitBreaker;
    ///
    /// let breaker = CircuitBreaker::builder("payments").enforcement(0.0).build()?;
    /// breaker.trip();
    /// let permit = breaker.try_acquire().expect("nothing is rejected in shadow mode");
    /// assert!(permit.is_shadow());
    /// permit.success(); // does not close the circuit
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// ```
    pub fn enforcement(mut self, share: f64) -> Self {
        self.enforcement = Some(share);
        self
    }

    /// Calls `listener` after each change of state, one at a time and in order. See [`Listener`] for what it
    /// may do.
    pub fn on_transition(self, listener: impl Fn(&Transition) + Send + Sync + 'static) -> Self {
        self.listener(OnTransition(listener))
    }

    /// Calls `listener` for every event. This includes the end of each call, so healthy calls become slower.
    /// See [`Listener`] for what it may do.
    pub fn on_event(self, listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.listener(listener)
    }

    /// Adds a listener. Listeners are notified in the order in which they were added.
    pub fn listener(mut self, listener: impl Listener) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Records how long calls take in the [histogram](crate::metrics)
    /// `circuit_breaker_call_duration_seconds`. Every call then reads the clock twice.
    #[cfg(feature = "metrics")]
    pub fn call_duration_histogram(mut self) -> Self {
        self.series = self.series.with_durations();
        self
    }

    /// Builds the breaker.
    ///
    /// # Errors
    /// Returns a [`ConfigError`] for the first invalid setting. It names the setting, the value and what is
    /// allowed.
    pub fn build(self) -> Result<CircuitBreaker, ConfigError> {
        let rules = self.rules()?;
        let breaker = CircuitBreaker::start(
            self.name,
            self.series,
            Arc::new(rules),
            Arc::new(Audience::new(self.listeners)),
            false,
        );
        if let Some(saved) = &self.primed {
            breaker.circuit().prime(saved);
        }
        Ok(breaker)
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
            .field("slow_in_flight", &self.slow_in_flight)
            .field("hung_after", &self.hung_after)
            .field("no_trip_rules", &self.no_trip_rules)
            .field("sliding_window", &self.window)
            .field("minimum_calls", &self.minimum_calls)
            .field("open_duration", &self.open_duration)
            .field("half_open", &self.half_open)
            .field("probe_timeout", &self.probe_timeout)
            .field("abandoned_after", &self.abandoned_after)
            .field("max_retry_after", &self.max_retry_after)
            .field("trip_on_retry_after", &self.trip_on_retry_after)
            .field("enforcement", &self.enforcement)
            .field("primed", &self.primed)
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
