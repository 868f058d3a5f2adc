//! Draws settings and traces.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::{self, weighted};
use proptest::prelude::*;
use tower_breaker::replay::{Call, Trace};
use tower_breaker::{
    Backoff, CircuitBreaker, CircuitBreakerBuilder, Ending, HalfOpen, SlidingWindow,
};

use crate::ms;

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    consecutive_failures: Option<u32>,
    failure_count: Option<u32>,
    failure_rate: Option<f64>,
    slow: Option<(Duration, f64)>,
    slow_in_flight: bool,
    hung_after: Option<Duration>,
    abandoned_after: Option<Duration>,
    /// The window, and its length if that is a time.
    window: (SlidingWindow, Option<Duration>),
    minimum_calls: u32,
    open_duration: Backoff,
    half_open: u32,
    is_sample: bool,
    ramp: Duration,
    probe_timeout: Duration,
    trip_on_retry_after: bool,
}

impl Settings {
    pub(crate) fn builder(&self, name: &str) -> CircuitBreakerBuilder {
        let judges_rates = self.failure_rate.is_some() || self.slow.is_some();
        let half_open = if self.is_sample && judges_rates {
            HalfOpen::sample(self.half_open)
        } else {
            HalfOpen::consecutive_successes(self.half_open)
        };
        let mut builder = CircuitBreaker::builder(name)
            .sliding_window(self.window.0)
            .minimum_calls(self.minimum_calls)
            .open_duration(self.open_duration)
            .half_open(half_open.ramp(self.ramp))
            .probe_timeout(self.probe_timeout)
            .trip_on_retry_after(self.trip_on_retry_after);
        if let Some(n) = self.consecutive_failures {
            builder = builder.consecutive_failures(n);
        }
        if let Some(n) = self.failure_count {
            builder = builder.failure_count_threshold(n);
        }
        if let Some(rate) = self.failure_rate {
            builder = builder.failure_rate_threshold(rate);
        }
        if let Some((duration, rate)) = self.slow {
            builder = builder.slow_call_duration_threshold(duration).slow_call_rate_threshold(rate);
            builder = builder.slow_in_flight(self.slow_in_flight);
        }
        if let Some(duration) = self.hung_after {
            builder = builder.hung_after(duration);
        }
        if let Some(duration) = self.abandoned_after {
            builder = builder.abandoned_after(duration);
        }
        builder
    }

    /// Returns the length of the window, if that is a time.
    pub(crate) fn window_length(&self) -> Option<Duration> {
        self.window.1
    }

    /// Whether calls count before they have ended.
    pub(crate) fn counts_in_flight(&self) -> bool {
        self.hung_after.is_some() || self.slow_in_flight && self.slow.is_some()
    }

    pub(crate) fn judges_failure_rate(&self) -> bool {
        let has_other_rule = self.consecutive_failures.is_some()
            || self.failure_count.is_some()
            || self.slow.is_some();
        self.failure_rate.is_some() || !has_other_rule
    }

    /// Whether the call is bad by the documentation of `Incident`.
    pub(crate) fn is_bad(&self, call: &Call) -> Option<bool> {
        let at_least = |limit: Option<Duration>| limit.is_some_and(|limit| call.duration >= limit);
        let failed = match call.ending? {
            Ending::Failure | Ending::SoftFailure => Some(true),
            Ending::Success => Some(false),
            Ending::Abandoned if at_least(self.abandoned_after) => Some(true),
            _ => None,
        };
        let is_slow = failed.is_some() && at_least(self.slow.map(|(duration, _)| duration));
        let is_bad = failed == Some(true) || is_slow || at_least(self.hung_after);
        if is_bad { Some(true) } else { failed }
    }
}

/// Durations of settings and of calls are drawn from the same few values, so that they are often equal.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..=8_u64).prop_map(|n| ms(n * 250)),
        1 => (0..=3_000_000_000_u64).prop_map(Duration::from_nanos),
    ]
}

fn longer_than_zero() -> impl Strategy<Value = Duration> {
    duration().prop_map(|it| it.max(Duration::from_nanos(1)))
}

fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.1), Just(0.5), Just(1.0), 0.01..=1.0]
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let window = prop_oneof![
        (5..=30_u32).prop_map(|calls| (SlidingWindow::count(calls), None)),
        (longer_than_zero(), 1..=10_u32).prop_map(|(length, buckets)| {
            (SlidingWindow::time(4 * length).buckets(buckets), Some(4 * length))
        }),
    ];
    let wait = prop_oneof![
        longer_than_zero().prop_map(Backoff::constant),
        (longer_than_zero(), 1..=8_u32)
            .prop_map(|(initial, n)| Backoff::exponential(initial, n * initial)),
    ];
    let rules = (weighted(0.5, 1..=6_u32), weighted(0.3, 1..=5_u32), weighted(0.6, rate()));
    let slow = (weighted(0.3, (longer_than_zero(), rate())), any::<bool>());
    let others = (option::of(longer_than_zero()), option::of(longer_than_zero()), any::<bool>());
    let probes = (
        1..=4_u32,
        any::<bool>(),
        prop_oneof![2 => Just(Duration::ZERO), 1 => duration()],
        longer_than_zero(),
    );
    (rules, slow, others, window, 1..=10_u32, wait, probes).prop_map(
        |(rules, slow, others, window, minimum_calls, wait, probes)| Settings {
            consecutive_failures: rules.0,
            failure_count: rules.1,
            failure_rate: rules.2,
            slow: slow.0,
            slow_in_flight: slow.1,
            hung_after: others.0,
            abandoned_after: others.1,
            window,
            minimum_calls,
            open_duration: wait.jitter(0.0),
            half_open: probes.0,
            is_sample: probes.1,
            ramp: probes.2,
            probe_timeout: probes.3,
            trip_on_retry_after: others.2,
        },
    )
}

/// Draws calls in stretches, in most of which either most calls succeed or most fail.
pub(crate) fn trace() -> impl Strategy<Value = Trace> {
    vec((0..=8_u32, vec(call(), 1..=25)), 1..=8).prop_map(|stretches| {
        let mut at = Duration::ZERO;
        let mut calls = Vec::new();
        for (failing, stretch) in stretches {
            for (pause, chance, mut call) in stretch {
                at += pause;
                call.at = at;
                if call.ending == Some(Ending::Success) && chance < failing {
                    call.ending = Some(Ending::Failure);
                }
                if call.ending != Some(Ending::Failure) {
                    call.retry_after = None;
                }
                calls.push(call);
            }
        }
        calls.into_iter().collect()
    })
}

fn call() -> impl Strategy<Value = (Duration, u32, Call)> {
    let ending = prop_oneof![
        12 => Just(Some(Ending::Success)),
        1 => Just(Some(Ending::Failure)),
        1 => Just(Some(Ending::SoftFailure)),
        1 => Just(Some(Ending::Ignored)),
        1 => Just(Some(Ending::Abandoned)),
        1 => Just(None),
    ];
    let pause = prop_oneof![2 => Just(Duration::ZERO), 2 => Just(ms(10)), 1 => duration()];
    let took = prop_oneof![1 => Just(Duration::ZERO), 2 => Just(ms(10)), 1 => duration()];
    let key = prop_oneof![3 => Just("a"), 1 => Just("b")];
    (pause, 0..8_u32, key, ending, took, weighted(0.1, longer_than_zero())).prop_map(
        |(pause, chance, key, ending, duration, retry_after)| {
            let mut call = Call::rejected(Duration::ZERO).with_key(key);
            (call.ending, call.duration, call.retry_after) = (ending, duration, retry_after);
            (pause, chance, call)
        },
    )
}
