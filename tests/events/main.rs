//! Everything that happens to a circuit is reported once and correctly, and a listener cannot do any harm.

mod admission;
mod endings;
mod history;
mod interest;
mod lifetimes;
mod order;
mod panics;
mod reentrancy;
mod slow_listeners;
mod sums;
mod transitions;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, Ending, Event, EventKind, HalfOpen, Interest, Listener,
    OperatorAction, Permit, Rejected, Transition,
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Trips at the first failure, is open for a second, closes after one successful probe.
fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test")
        .consecutive_failures(1)
        .open_duration(SECOND)
        .half_open(HalfOpen::consecutive_successes(1))
}

fn permit(breaker: &CircuitBreaker) -> Permit {
    breaker.try_acquire().expect("the call should be admitted")
}

async fn advance(time: Duration) {
    tokio::time::advance(time).await;
}

/// An event, as a test keeps it.
#[derive(Debug, Clone, PartialEq)]
enum Reported {
    Transition(Transition),
    Action(OperatorAction),
    ProbeTimedOut,
    Rejected(Rejected),
    ProbeAdmitted,
    Settled(Ended),
    Lagged(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Ended {
    ending: Ending,
    duration: Option<Duration>,
    is_slow: bool,
    is_stale: bool,
}

impl Ended {
    /// A call that is neither slow nor stale.
    fn in_time(ending: Ending, duration: Duration) -> Self {
        Self { ending, duration: Some(duration), is_slow: false, is_stale: false }
    }
}

/// A listener that keeps the events that it receives.
#[derive(Clone)]
struct Log {
    reported: Arc<Mutex<Vec<Reported>>>,
    interest: Interest,
}

impl Log {
    fn new(interest: Interest) -> Self {
        Self { reported: Arc::default(), interest }
    }

    fn take(&self) -> Vec<Reported> {
        std::mem::take(&mut self.reported.lock().unwrap())
    }

    /// Takes the transitions, and forgets all other events.
    fn transitions(&self) -> Vec<Transition> {
        let transitions = self.take().into_iter().filter_map(|reported| match reported {
            Reported::Transition(transition) => Some(transition),
            _ => None,
        });
        transitions.collect()
    }

    /// Takes the ends of calls, and forgets all other events.
    fn ended(&self) -> Vec<Ended> {
        let ended = self.take().into_iter().filter_map(|reported| match reported {
            Reported::Settled(ended) => Some(ended),
            _ => None,
        });
        ended.collect()
    }
}

impl Listener for Log {
    fn on_event(&self, event: &Event<'_>) {
        assert_eq!(event.breaker(), "test");
        self.reported.lock().unwrap().push(match event.kind() {
            EventKind::Transition(transition) => Reported::Transition(transition.clone()),
            EventKind::OperatorAction(action) => Reported::Action(action),
            EventKind::ProbeTimedOut => Reported::ProbeTimedOut,
            EventKind::Rejected(rejected) => Reported::Rejected(rejected.clone()),
            EventKind::ProbeAdmitted => Reported::ProbeAdmitted,
            EventKind::Settled(settled) => Reported::Settled(Ended {
                ending: settled.ending(),
                duration: settled.duration(),
                is_slow: settled.is_slow(),
                is_stale: settled.is_stale(),
            }),
            EventKind::Lagged { missed } => Reported::Lagged(missed),
            other => panic!("a kind that this test does not know: {other:?}"),
        });
    }

    fn interest(&self) -> Interest {
        self.interest
    }
}

/// A breaker, and a log of everything that happens to it.
fn observed(builder: CircuitBreakerBuilder) -> (CircuitBreaker, Log) {
    let log = Log::new(Interest::Durations);
    (builder.listener(log.clone()).build().unwrap(), log)
}

/// The breaker of a listener that uses its breaker. It is set once the breaker has been built.
#[derive(Clone, Default)]
struct Own(Arc<OnceLock<CircuitBreaker>>);

impl Own {
    fn set(&self, breaker: &CircuitBreaker) {
        self.0.set(breaker.clone()).expect("set once");
    }

    fn get(&self) -> &CircuitBreaker {
        self.0.get().expect("set before anything happens")
    }
}
