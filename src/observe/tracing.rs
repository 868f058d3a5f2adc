//! The log: a listener that every breaker has if the feature `tracing` is enabled.

use tracing::{Level, Span, event};

use super::{Event, EventKind, Interest, LastFailure, Listener, Transition};
use crate::circuit::Escaped;
use crate::machine::{Cause, State};

pub(crate) struct Tracing;

impl Listener for Tracing {
    fn on_event(&self, event: &Event<'_>) {
        match event.kind() {
            EventKind::Transition(transition) => log(transition),
            EventKind::Rejected(rejected) => {
                Span::current().record("circuit_breaker.rejected", true);
                event!(
                    target: "tower_breaker",
                    Level::DEBUG,
                    breaker = Escaped(rejected.breaker()).to_string(),
                    reason = rejected.reason().name(),
                    retry_after_seconds = rejected.retry_after().map(|wait| wait.as_secs_f64()),
                    "{}",
                    rejected.reason(),
                );
            }
            EventKind::WouldReject(rejected) => event!(
                target: "tower_breaker",
                Level::DEBUG,
                breaker = Escaped(event.breaker()).to_string(),
                reason = rejected.reason().name(),
                "{event}",
            ),
            EventKind::OperatorAction(action) => event!(
                target: "tower_breaker",
                Level::INFO,
                breaker = Escaped(event.breaker()).to_string(),
                action = action.to_string(),
                actor = event.operator().map(|operator| Escaped(operator.actor()).to_string()),
                reason = event.operator().map(|operator| Escaped(operator.reason()).to_string()),
                "{event}",
            ),
            EventKind::Reconfigured(_) => event!(
                target: "tower_breaker",
                Level::INFO,
                breaker = Escaped(event.breaker()).to_string(),
                actor = event.operator().map(|operator| Escaped(operator.actor()).to_string()),
                reason = event.operator().map(|operator| Escaped(operator.reason()).to_string()),
                "{event}",
            ),
            EventKind::Recovering { over } => event!(
                target: "tower_breaker",
                Level::INFO,
                breaker = Escaped(event.breaker()).to_string(),
                over_seconds = over.as_secs_f64(),
                "{event}",
            ),
            EventKind::ProbeAdmitted => {
                Span::current().record("circuit_breaker.probe", true);
            }
            EventKind::Lagged { missed } => event!(
                target: "tower_breaker",
                Level::WARN,
                breaker = Escaped(event.breaker()).to_string(),
                missed,
                "{event}",
            ),
            EventKind::RegistryFull { capacity, unkept_calls } => event!(
                target: "tower_breaker",
                Level::WARN,
                breaker = Escaped(event.breaker()).to_string(),
                capacity,
                unkept_calls,
                "{event}",
            ),
            _ => {}
        }
    }

    fn interest(&self) -> Interest {
        Interest::Rejections
    }
}

fn log(transition: &Transition) {
    /// `event!` takes no level that is known only at run time.
    macro_rules! log {
        ($level:expr) => {
            event!(
                target: "tower_breaker",
                $level,
                breaker = Escaped(transition.breaker()).to_string(),
                from = transition.from().name(),
                to = transition.to().name(),
                cause = transition.cause().name(),
                failures = failures(transition.cause()),
                slow_calls = slow_calls(transition.cause()),
                calls = calls(transition.cause()),
                rate = transition.cause().rate(),
                attempt = transition.attempt(),
                wait_seconds = transition.open_duration().map(|wait| wait.as_secs_f64()),
                enforcement = enforcement(transition),
                last_failure = transition.last_failure().map(LastFailure::to_string),
                "{transition}",
            )
        };
    }
    // Nobody is to be alarmed by a circuit that rejects no calls.
    let rejects = transition.to() == State::Open && transition.enforcement() > 0.0;
    if rejects { log!(Level::WARN) } else { log!(Level::INFO) }
}

/// Returns the share of rejections that are enforced, unless it is all of them.
fn enforcement(transition: &Transition) -> Option<f64> {
    Some(transition.enforcement()).filter(|share| *share < 1.0)
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
