//! A slow listener does not hold up any call for long, and events that are dropped because of it are counted.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ThreadId};

use tower_breaker::{CircuitBreaker, Event, Interest, Listener, OperatorAction, State, Transition};

use crate::{Log, Reported, sensitive};

/// A listener that announces each event and then blocks until it may go on.
struct Gated {
    announced: Sender<ThreadId>,
    may_go_on: Mutex<Receiver<()>>,
}

impl Listener for Gated {
    fn on_event(&self, _: &Event<'_>) {
        self.announced.send(thread::current().id()).unwrap();
        let _ = self.may_go_on.lock().unwrap().recv(); // an error means that the gate stays open
    }

    fn interest(&self) -> Interest {
        Interest::Transitions
    }
}

/// Controls when the events of a breaker pass.
struct Gate {
    announced: Receiver<ThreadId>,
    go_on: Sender<()>,
}

impl Gate {
    fn new() -> (CircuitBreaker, Self, Log) {
        let (announced, announcements) = channel();
        let (go_on, may_go_on) = channel();
        let log = Log::new(Interest::Transitions);
        let gated = Gated { announced, may_go_on: Mutex::new(may_go_on) };
        let breaker = sensitive().listener(gated).listener(log.clone()).build().unwrap();
        (breaker, Self { announced: announcements, go_on }, log)
    }

    /// Waits for the next event and returns the thread that reports it.
    fn reporter(&self) -> ThreadId {
        self.announced.recv().unwrap()
    }

    fn let_one_pass(&self) {
        self.go_on.send(()).unwrap();
    }

    fn open(self) {
        drop(self.go_on);
    }
}

/// Returns how many events were reported or dropped.
fn reported_or_missed(log: &Log) -> u64 {
    let reported = log.take().into_iter();
    reported.map(|reported| if let Reported::Lagged(missed) = reported { missed } else { 1 }).sum()
}

fn transitions(reported: &[Reported]) -> Vec<Transition> {
    let transitions = reported.iter().filter_map(|reported| match reported {
        Reported::Transition(transition) => Some(transition.clone()),
        _ => None,
    });
    transitions.collect()
}

#[test]
fn while_a_listener_blocks_nobody_else_waits_and_the_oldest_events_are_dropped_and_counted() {
    let (breaker, gate, log) = Gate::new();
    thread::scope(|scope| {
        scope.spawn(|| breaker.trip()); // two events
        gate.reporter();
        for _ in 0..10_000 {
            breaker.reset(); // two events each
            breaker.trip();
        }
        gate.open();
    });
    let reported = log.take();
    let [Reported::Action(OperatorAction::Trip), Reported::Lagged(missed), kept @ ..] =
        &reported[..]
    else {
        panic!("{:?}", &reported[..3]);
    };
    assert_eq!((kept.len(), *missed), (64, 40_002 - 1 - 64));
    let kept = transitions(kept);
    assert!(kept.windows(2).all(|two| two[0].to() == two[1].from()));
    assert!(kept.ends_with(&breaker.history()));
}

#[test]
fn a_subscriber_learns_how_many_transitions_were_dropped_because_of_a_slow_listener() {
    let (breaker, gate, _log) = Gate::new();
    let mut subscriber = breaker.subscribe();
    thread::scope(|scope| {
        scope.spawn(|| breaker.trip());
        gate.reporter();
        for _ in 0..100 {
            breaker.reset();
            breaker.trip();
        }
        (0..60).for_each(|_| breaker.trip()); // no transitions
        gate.open();
    });
    let received: Vec<_> =
        std::iter::from_fn(|| match tokio_test::task::spawn(subscriber.next()).poll() {
            std::task::Poll::Ready(item) => item,
            std::task::Poll::Pending => None,
        })
        .collect();
    let [Err(lagged), kept @ ..] = &received[..] else { panic!("{received:?}") };
    let kept: Vec<_> = kept.iter().map(|kept| kept.clone().unwrap()).collect();
    assert_eq!(lagged.missed() + kept.len() as u64, 201);
    assert!(breaker.history().ends_with(&kept));
}

#[test]
fn the_newest_transition_is_reported_whatever_was_dropped() {
    let (breaker, gate, log) = Gate::new();
    thread::scope(|scope| {
        scope.spawn(|| breaker.trip());
        gate.reporter();
        breaker.reset();
        (0..10_000).for_each(|_| breaker.reset()); // no transitions
        gate.open();
    });
    let last = log.transitions().pop().expect("a transition");
    assert_eq!((last.from(), last.to()), (State::Open, State::Closed));
    assert_eq!(breaker.history().pop(), Some(last));
}

#[test]
fn a_call_reports_a_few_events_of_others_and_hands_over_to_the_next_one() {
    let (breaker, gate, log) = Gate::new();
    let mut acts = 21;
    thread::scope(|scope| {
        let unlucky = scope.spawn(|| breaker.resume()).thread().id();
        assert_eq!(gate.reporter(), unlucky);
        (0..20).for_each(|_| breaker.resume());
        let mut by_unlucky = 1;
        // One event is reported for each one that happens, so there is always something to report.
        loop {
            scope.spawn(|| breaker.resume());
            acts += 1;
            assert!(acts < 1000, "one call reports what a thousand others have caused");
            gate.let_one_pass();
            if gate.reporter() != unlucky {
                break;
            }
            by_unlucky += 1;
        }
        assert!(by_unlucky >= 8);
        gate.open();
    });
    assert_eq!(reported_or_missed(&log), acts);
}

#[test]
fn whatever_many_threads_do_every_event_is_reported_or_counted() {
    const THREADS: u64 = 4;
    const ACTS: u64 = 2000;
    let log = Log::new(Interest::Transitions);
    let breaker = sensitive()
        .on_event(|_| thread::yield_now()) // slower than the threads that act
        .listener(log.clone())
        .build()
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..ACTS).for_each(|_| breaker.resume())); // one event each
        }
    });
    assert_eq!(reported_or_missed(&log), THREADS * ACTS);
}
