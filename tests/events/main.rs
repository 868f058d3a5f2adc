//! Everything that happens to a circuit is told, once and as it was; whoever listens cannot harm it.

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

/// An event that is kept.
#[derive(Debug, Clone, PartialEq)]
enum Told {
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
    /// Neither slow nor stale.
    fn in_time(ending: Ending, duration: Duration) -> Self {
        Self { ending, duration: Some(duration), is_slow: false, is_stale: false }
    }
}

/// A listener that keeps what it is told.
#[derive(Clone)]
struct Log {
    told: Arc<Mutex<Vec<Told>>>,
    interest: Interest,
}

impl Log {
    fn new(interest: Interest) -> Self {
        Self { told: Arc::default(), interest }
    }

    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// The transitions since it was last asked, and nothing else.
    fn transitions(&self) -> Vec<Transition> {
        let transitions = self.take().into_iter().filter_map(|told| match told {
            Told::Transition(transition) => Some(transition),
            _ => None,
        });
        transitions.collect()
    }

    /// How calls have ended since it was last asked, and nothing else.
    fn ended(&self) -> Vec<Ended> {
        let ended = self.take().into_iter().filter_map(|told| match told {
            Told::Settled(ended) => Some(ended),
            _ => None,
        });
        ended.collect()
    }
}

impl Listener for Log {
    fn on_event(&self, event: &Event<'_>) {
        assert_eq!(event.breaker(), "test");
        self.told.lock().unwrap().push(match event.kind() {
            EventKind::Transition(transition) => Told::Transition(transition.clone()),
            EventKind::OperatorAction(action) => Told::Action(action),
            EventKind::ProbeTimedOut => Told::ProbeTimedOut,
            EventKind::Rejected(rejected) => Told::Rejected(rejected.clone()),
            EventKind::ProbeAdmitted => Told::ProbeAdmitted,
            EventKind::Settled(settled) => Told::Settled(Ended {
                ending: settled.ending(),
                duration: settled.duration(),
                is_slow: settled.is_slow(),
                is_stale: settled.is_stale(),
            }),
            EventKind::Lagged { missed } => Told::Lagged(missed),
            other => panic!("a kind that this test does not know: {other:?}"),
        });
    }

    fn interest(&self) -> Interest {
        self.interest
    }
}

/// A breaker and everything that happens to it.
fn observed(builder: CircuitBreakerBuilder) -> (CircuitBreaker, Log) {
    let log = Log::new(Interest::Durations);
    (builder.listener(log.clone()).build().unwrap(), log)
}

/// The breaker of a listener that uses it; set when it has been built.
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
