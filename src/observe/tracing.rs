//! Events through `tracing`: a listener that every breaker has when the feature is on.

use tracing::{Level, Span, event};

use super::{Event, EventKind, Interest, Listener, Transition};
use crate::machine::{Cause, State};

pub(crate) struct Tracing;

impl Listener for Tracing {
    fn on_event(&self, event: &Event<'_>) {
        match event.kind() {
            EventKind::Transition(transition) => tell(transition),
            EventKind::Rejected(rejected) => {
                Span::current().record("circuit_breaker.rejected", true);
                event!(
                    target: "tower_breaker",
                    Level::DEBUG,
                    breaker = rejected.breaker(),
                    reason = rejected.reason().name(),
                    retry_after_seconds = rejected.retry_after().map(|wait| wait.as_secs_f64()),
                    "{}",
                    rejected.reason(),
                );
            }
            EventKind::ProbeAdmitted => {
                Span::current().record("circuit_breaker.probe", true);
            }
            _ => {}
        }
    }

    fn interest(&self) -> Interest {
        Interest::Rejections
    }
}

fn tell(transition: &Transition) {
    /// The level of an event is a part of its code.
    macro_rules! tell {
        ($level:expr) => {
            event!(
                target: "tower_breaker",
                $level,
                breaker = transition.breaker(),
                from = transition.from().name(),
                to = transition.to().name(),
                cause = transition.cause().name(),
                failures = failures(transition.cause()),
                slow_calls = slow_calls(transition.cause()),
                calls = calls(transition.cause()),
                rate = transition.cause().rate(),
                attempt = transition.attempt(),
                wait_seconds = transition.open_duration().map(|wait| wait.as_secs_f64()),
                "{transition}",
            )
        };
    }
    if transition.to() == State::Open { tell!(Level::WARN) } else { tell!(Level::INFO) }
}

fn failures(cause: Cause) -> Option<u64> {
    match cause {
        Cause::ConsecutiveFailures { failures }
        | Cause::FailureCount { failures }
        | Cause::FailureRate { failures, .. } => Some(failures),
        _ => None,
    }
}

fn slow_calls(cause: Cause) -> Option<u64> {
    match cause {
        Cause::SlowCallRate { slow_calls, .. } => Some(slow_calls),
        _ => None,
    }
}

fn calls(cause: Cause) -> Option<u64> {
    match cause {
        Cause::FailureRate { calls, .. } | Cause::SlowCallRate { calls, .. } => Some(calls),
        _ => None,
    }
}
