//! The settings of one run, in a form that both the circuit and the model can use.

use std::time::Duration;

use tower_breaker::{Backoff, CircuitBreaker, HalfOpen, SlidingWindow};

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
    pub(crate) no_trip_rules: bool,
    pub(crate) window: Option<Window>,
    pub(crate) minimum_calls: Option<u32>,
    pub(crate) wait: Wait,
    pub(crate) half_open: Option<Probes>,
    pub(crate) probe_timeout: Option<Duration>,
    pub(crate) abandoned_after: Option<Duration>,
    pub(crate) max_retry_after: Option<Duration>,
    pub(crate) trip_on_retry_after: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Window {
    Count(u32),
    Time { length: Duration, buckets: Option<u32> },
}

/// Always set and without jitter, because the model has to know the wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    Constant(Duration),
    Growing { initial: Duration, max: Duration, factor: Option<f64> },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Probes {
    ConsecutiveSuccesses(u32),
    Sample(u32),
}

impl Settings {
    pub(crate) fn build(&self, name: &str) -> CircuitBreaker {
        let mut builder = CircuitBreaker::builder(name)
            .open_duration(self.wait.build())
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
        if let Some(rate) = self.slow_rate {
            builder = builder.slow_call_rate_threshold(rate);
        }
        if let Some(window) = self.window {
            builder = builder.sliding_window(window.build());
        }
        if let Some(n) = self.minimum_calls {
            builder = builder.minimum_calls(n);
        }
        if let Some(rule) = self.half_open {
            builder = builder.half_open(rule.build());
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
        builder.build().expect("only valid settings are drawn")
    }

    pub(crate) fn probe_timeout(&self) -> Nanos {
        self.probe_timeout.unwrap_or(Duration::from_secs(30)).as_nanos()
    }

    pub(crate) fn max_retry_after(&self) -> Nanos {
        self.max_retry_after.unwrap_or(Duration::from_secs(300)).as_nanos()
    }

    pub(crate) fn window(&self) -> Window {
        let default = Window::Time { length: Duration::from_secs(30), buckets: None };
        self.window.unwrap_or(default)
    }

    pub(crate) fn half_open(&self) -> Probes {
        self.half_open.unwrap_or(Probes::ConsecutiveSuccesses(3))
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

    /// Replaces what does not go together and would not be valid.
    pub(crate) fn made_valid(mut self) -> Self {
        self.no_trip_rules &= !self.has_rule();
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
