//! How much is told depends on how much the listeners want to hear of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tower_breaker::{CircuitBreaker, Event, Interest, Listener, OperatorAction};

use crate::{Log, SECOND, Told, advance, permit, sensitive};

/// One of each kind: what is told to those who want to hear of that much.
async fn told_to(interest: Interest) -> Vec<Told> {
    let log = Log::new(interest);
    let breaker = sensitive().probe_timeout(SECOND).listener(log.clone()).build().unwrap();
    permit(&breaker).success();
    breaker.trip();
    drop(breaker.try_acquire());
    advance(SECOND).await;
    let _hangs = permit(&breaker);
    advance(SECOND).await;
    drop(breaker.try_acquire());
    log.take()
}

fn is_of_a_call(told: &Told) -> bool {
    matches!(told, Told::Rejected(_) | Told::ProbeAdmitted | Told::Settled(_))
}

#[tokio::test(start_paused = true)]
async fn transitions_are_told_without_what_single_calls_do() {
    let told = told_to(Interest::Transitions).await;
    assert!(matches!(
        &told[..],
        [
            Told::Action(OperatorAction::Trip),
            Told::Transition(_),
            Told::Transition(_),
            Told::ProbeTimedOut,
            Told::Transition(_),
        ]
    ));
}

#[tokio::test(start_paused = true)]
async fn rejections_are_told_with_probes_and_without_calls_that_end() {
    let mut told = told_to(Interest::Rejections).await;
    told.retain(is_of_a_call);
    assert!(
        matches!(&told[..], [Told::Rejected(_), Told::ProbeAdmitted, Told::Rejected(_)]),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn calls_are_told_with_all_the_rest() {
    for interest in [Interest::Calls, Interest::Durations] {
        let mut told = told_to(interest).await;
        assert_eq!(told.len(), 9, "{told:?}");
        told.retain(is_of_a_call);
        let [Told::Settled(ended), ..] = told[..] else { panic!("{told:?}") };
        assert_eq!(ended.duration.is_some(), interest == Interest::Durations);
    }
}

#[tokio::test(start_paused = true)]
async fn each_listener_hears_no_more_than_it_wants() {
    let (little, much) = (Log::new(Interest::Transitions), Log::new(Interest::Calls));
    let breaker = sensitive().listener(much.clone()).listener(little.clone()).build().unwrap();
    permit(&breaker).success();
    assert_eq!(much.ended().len(), 1);
    assert_eq!(little.ended().len(), 0);
}

#[test]
fn interests_are_ordered_by_what_they_include() {
    use Interest::{Calls, Durations, Rejections, Transitions};
    assert!(Transitions < Rejections && Rejections < Calls && Calls < Durations);
}

#[tokio::test(start_paused = true)]
async fn a_closure_hears_of_everything_and_on_transition_of_transitions_only() {
    let told = Arc::new(AtomicU32::new(0));
    let count = |told: &Arc<AtomicU32>| {
        let told = told.clone();
        move |_: &Event<'_>| {
            told.fetch_add(1, Ordering::Relaxed);
        }
    };
    let breaker = sensitive().on_event(count(&told)).build().unwrap();
    permit(&breaker).success();
    assert_eq!(told.swap(0, Ordering::Relaxed), 1);

    let breaker = sensitive().listener(count(&told)).build().unwrap();
    permit(&breaker).success();
    assert_eq!(told.swap(0, Ordering::Relaxed), 1);

    let transitions = told.clone();
    let breaker = sensitive()
        .on_transition(move |_| {
            transitions.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    permit(&breaker).success();
    breaker.force_closed(); // an action without effect
    assert_eq!(told.swap(0, Ordering::Relaxed), 0);
    breaker.force_open();
    assert_eq!(told.swap(0, Ordering::Relaxed), 1);
}

/// Counts how often it is asked for its interest.
struct Asked(Arc<AtomicU32>);

impl Listener for Asked {
    fn on_event(&self, _: &Event<'_>) {}

    fn interest(&self) -> Interest {
        self.0.fetch_add(1, Ordering::Relaxed);
        Interest::Transitions
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_asked_for_its_interest_once_when_the_breaker_is_built() {
    let asked = Arc::new(AtomicU32::new(0));
    let builder = sensitive().listener(Asked(asked.clone()));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let breaker = builder.build().unwrap();
    for _ in 0..10 {
        permit(&breaker).success();
        breaker.trip();
        drop(breaker.try_acquire());
        breaker.reset();
        let _ = breaker.subscribe();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_breaker_without_listeners_has_nobody_to_tell() {
    let breaker = CircuitBreaker::new("test");
    permit(&breaker).success();
    breaker.trip();
    assert_eq!(breaker.history().len(), 1);
}
