//! The settings of one run, in a form that both the circuit and the model can use.

use std::time::Duration;

use tower_breaker::{Backoff, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, SlidingWindow};

/// A time or a duration. The type is wide enough that nothing overflows.
pub(crate) type Nanos = u128;

/// What is passed to the builder. `None` means that the setter is not called.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) consecutive_failures: Option<u32>,
    pub(crate) failure_count: Option<u32>,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_duration: Option<Duration>,
    pub(crate) slow_rate: Option<f64>,
    pub(crate) slow_in_flight: bool,
    pub(crate) hung_after: Option<Duration>,
    pub(crate) no_trip_rules: bool,
    pub(crate) window: Option<Window>,
    pub(crate) minimum_calls: Option<u32>,
    pub(crate) wait: Wait,
    pub(crate) half_open: Option<Probes>,
    pub(crate) ramp: Option<Duration>,
    pub(crate) probe_timeout: Option<Duration>,
    pub(crate) abandoned_after: Option<Duration>,
    pub(crate) max_retry_after: Option<Duration>,
    pub(crate) trip_on_retry_after: bool,
    pub(crate) forget_after: Option<Duration>,
    /// In 64ths, which floats represent exactly.
    pub(crate) enforcement: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Window {
    Count(u32),
    Time { length: Duration, buckets: Option<u32> },
}

/// Always set and without jitter, because the model has to know the wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wait {
    Constant(Duration),
    Growing { initial: Duration, max: Duration, factor: Option<f64> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probes {
    ConsecutiveSuccesses(u32),
    Sample(u32),
}

impl Settings {
    pub(crate) fn build(&self, name: &str) -> CircuitBreaker {
        self.builder(name).build().expect("only valid settings are drawn")
    }

    pub(crate) fn builder(&self, name: &str) -> CircuitBreakerBuilder {
        let forget_after = self.forget_after.unwrap_or(Duration::ZERO);
        let mut builder = CircuitBreaker::builder(name)
            .open_duration(self.wait.build().forget_after(forget_after))
            .trip_on_retry_after(self.trip_on_retry_after);
        if let Some(n) = self.consecutive_failures {
            builder = builder.consecutive_failures(n);
        }
        if let Some(n) = self.failure_count {
            builder = builder.failure_count_threshold(n);
        }
        if self.no_trip_rules {
            builder = builder.no_trip_rules();
        }
        if let Some(rate) = self.failure_rate {
            builder = builder.failure_rate_threshold(rate);
        }
        if let Some(d) = self.slow_duration {
            builder = builder.slow_call_duration_threshold(d);
        }
        if self.slow_in_flight {
            builder = builder.slow_in_flight(true);
        }
        if let Some(d) = self.hung_after {
            builder = builder.hung_after(d);
        }
        if let Some(rate) = self.slow_rate {
            builder = builder.slow_call_rate_threshold(rate);
        }
        if let Some(window) = self.window {
            builder = builder.sliding_window(window.build());
        }
        if let Some(n) = self.minimum_calls {
            builder = builder.minimum_calls(n);
        }
        if self.half_open.is_some() || self.ramp.is_some() {
            let ramp = self.ramp.unwrap_or(Duration::ZERO);
            builder = builder.half_open(self.half_open().build().ramp(ramp));
        }
        if let Some(d) = self.probe_timeout {
            builder = builder.probe_timeout(d);
        }
        if let Some(d) = self.abandoned_after {
            builder = builder.abandoned_after(d);
        }
        if let Some(d) = self.max_retry_after {
            builder = builder.max_retry_after(d);
        }
        if let Some(share) = self.enforcement {
            builder = builder.enforcement(f64::from(share) / 64.0);
        }
        builder
    }

    pub(crate) fn probe_timeout(&self) -> Nanos {
        self.probe_timeout.unwrap_or(Duration::from_secs(30)).as_nanos()
    }

    pub(crate) fn max_retry_after(&self) -> Nanos {
        self.max_retry_after.unwrap_or(Duration::from_secs(300)).as_nanos()
    }

    /// Returns for how long the circuit recovers. It cannot represent a longer time than `u64` does.
    pub(crate) fn ramp(&self) -> Nanos {
        self.ramp.map_or(0, |over| over.as_nanos()).min(u64::MAX.into())
    }

    pub(crate) fn forget_after(&self) -> Nanos {
        self.forget_after.map_or(0, |closed| closed.as_nanos())
    }

    /// Whether it matters how long a call takes.
    pub(crate) fn times_calls(&self) -> bool {
        self.slow_duration.is_some() || self.abandoned_after.is_some() || self.hung_after.is_some()
    }

    pub(crate) fn window(&self) -> Window {
        let default = Window::Time { length: Duration::from_secs(30), buckets: None };
        self.window.unwrap_or(default)
    }

    pub(crate) fn half_open(&self) -> Probes {
        self.half_open.unwrap_or(Probes::ConsecutiveSuccesses(3))
    }

    /// Returns the window, if a rule needs one.
    pub(crate) fn window_in_use(&self) -> Option<Window> {
        let is_needed =
            self.failure_count.is_some() || !self.has_no_rate() || self.has_default_rules();
        is_needed.then(|| match self.window() {
            Window::Time { length, buckets } => {
                Window::Time { length, buckets: Some(buckets.unwrap_or(10)) }
            }
            count => count,
        })
    }

    pub(crate) fn streak_threshold(&self) -> Option<u32> {
        if self.has_default_rules() { Some(5) } else { self.consecutive_failures }
    }

    pub(crate) fn failure_rate_threshold(&self) -> Option<f64> {
        if self.has_default_rules() { Some(0.5) } else { self.failure_rate }
    }

    pub(crate) fn minimum_calls(&self) -> usize {
        let minimum = self.minimum_calls.unwrap_or(20);
        match self.window() {
            Window::Count(n) => minimum.min(n) as usize,
            Window::Time { .. } => minimum as usize,
        }
    }

    /// Returns everything that the settings come to. Other settings may come to the same.
    pub(crate) fn effective(&self) -> impl PartialEq + use<> {
        let wait = match self.wait {
            Wait::Growing { initial, max, factor } => (initial, max, factor.unwrap_or(2.0)),
            Wait::Constant(wait) => (wait, wait, 1.0),
        };
        (
            (self.streak_threshold(), self.failure_count, self.failure_rate_threshold()),
            (self.slow_duration, self.slow_rate, self.window_in_use()),
            (self.slow_in_flight, self.hung_after),
            (self.minimum_calls(), wait, self.forget_after(), self.half_open()),
            (self.probe_timeout(), self.abandoned_after, self.max_retry_after()),
            (self.ramp(), self.trip_on_retry_after, self.enforcement.unwrap_or(64)),
        )
    }

    /// Whether the default rules are on.
    pub(crate) fn has_default_rules(&self) -> bool {
        !self.has_rule() && !self.no_trip_rules
    }

    fn has_rule(&self) -> bool {
        let has_count = self.consecutive_failures.is_some() || self.failure_count.is_some();
        has_count || !self.has_no_rate()
    }

    fn has_no_rate(&self) -> bool {
        self.failure_rate.is_none() && self.slow_rate.is_none()
    }

    /// Returns these settings, with some groups of them as they are in `others`.
    pub(crate) fn partly(self, others: &Self, same: [bool; 6]) -> Self {
        let pick = |n: usize| if same[n] { others } else { &self };
        let (trips, slow, window, wait, probes, rest) =
            (pick(0), pick(1), pick(2), pick(3), pick(4), pick(5));
        Self {
            consecutive_failures: trips.consecutive_failures,
            failure_count: trips.failure_count,
            failure_rate: trips.failure_rate,
            no_trip_rules: trips.no_trip_rules,
            slow_duration: slow.slow_duration,
            slow_rate: slow.slow_rate,
            slow_in_flight: slow.slow_in_flight,
            hung_after: slow.hung_after,
            window: window.window,
            minimum_calls: window.minimum_calls,
            wait: wait.wait,
            forget_after: wait.forget_after,
            half_open: probes.half_open,
            ramp: probes.ramp,
            probe_timeout: probes.probe_timeout,
            abandoned_after: rest.abandoned_after,
            max_retry_after: rest.max_retry_after,
            trip_on_retry_after: rest.trip_on_retry_after,
            enforcement: rest.enforcement,
        }
        .made_valid()
    }

    /// Replaces what does not go together and would not be valid.
    pub(crate) fn made_valid(mut self) -> Self {
        self.no_trip_rules &= !self.has_rule();
        self.slow_in_flight &= self.slow_duration.is_some();
        if let (Some(n), Window::Count(calls)) = (self.failure_count, self.window()) {
            self.failure_count = Some(n.min(calls));
        }
        if let Some(Probes::Sample(n)) = self.half_open {
            if self.has_no_rate() && !self.has_default_rules() {
                self.half_open = Some(Probes::ConsecutiveSuccesses(n));
            }
        }
        self
    }
}

impl Window {
    fn build(self) -> SlidingWindow {
        match self {
            Self::Count(calls) => SlidingWindow::count(calls),
            Self::Time { length, buckets: None } => SlidingWindow::time(length),
            Self::Time { length, buckets: Some(n) } => SlidingWindow::time(length).buckets(n),
        }
    }
}

impl Wait {
    fn build(self) -> Backoff {
        match self {
            Self::Constant(wait) => Backoff::constant(wait).jitter(0.0),
            Self::Growing { initial, max, factor: None } => {
                Backoff::exponential(initial, max).jitter(0.0)
            }
            Self::Growing { initial, max, factor: Some(factor) } => {
                Backoff::exponential(initial, max).factor(factor).jitter(0.0)
            }
        }
    }

    /// Returns the longest wait that any number of attempts leads to.
    pub(crate) fn longest_reached(self) -> Nanos {
        match self {
            Self::Growing { initial, factor: Some(1.0), .. } => initial.as_nanos(),
            _ => self.longest(),
        }
    }

    pub(crate) fn longest(self) -> Nanos {
        match self {
            Self::Constant(wait) => wait.as_nanos(),
            Self::Growing { max, .. } => max.as_nanos(),
        }
    }
}

impl Probes {
    fn build(self) -> HalfOpen {
        match self {
            Self::ConsecutiveSuccesses(n) => HalfOpen::consecutive_successes(n),
            Self::Sample(n) => HalfOpen::sample(n),
        }
    }

    pub(crate) fn count(self) -> usize {
        let (Self::ConsecutiveSuccesses(n) | Self::Sample(n)) = self;
        n as usize
    }
}
