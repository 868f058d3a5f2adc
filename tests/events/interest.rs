//! A listener receives the events that it is interested in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tower_breaker::{CircuitBreaker, Event, Interest, Listener, OperatorAction};

use crate::{Log, Reported, SECOND, advance, permit, sensitive};

/// Makes one event of each kind, and returns those that a listener with this interest receives.
async fn reported_to(interest: Interest) -> Vec<Reported> {
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

fn is_of_a_call(reported: &Reported) -> bool {
    matches!(reported, Reported::Rejected(_) | Reported::ProbeAdmitted | Reported::Settled(_))
}

#[tokio::test(start_paused = true)]
async fn interest_in_transitions_excludes_what_single_calls_do() {
    let reported = reported_to(Interest::Transitions).await;
    assert!(matches!(
        &reported[..],
        [
            Reported::Action(OperatorAction::Trip),
            Reported::Transition(_),
            Reported::Transition(_),
            Reported::ProbeTimedOut,
            Reported::Transition(_),
        ]
    ));
}

#[tokio::test(start_paused = true)]
async fn interest_in_rejections_includes_probes_but_not_how_calls_end() {
    let mut reported = reported_to(Interest::Rejections).await;
    reported.retain(is_of_a_call);
    assert!(
        matches!(
            &reported[..],
            [Reported::Rejected(_), Reported::ProbeAdmitted, Reported::Rejected(_)]
        ),
        "{reported:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn interest_in_calls_includes_all_other_events() {
    for interest in [Interest::Calls, Interest::Durations] {
        let mut reported = reported_to(interest).await;
        assert_eq!(reported.len(), 9, "{reported:?}");
        reported.retain(is_of_a_call);
        let [Reported::Settled(ended), ..] = reported[..] else { panic!("{reported:?}") };
        assert_eq!(ended.duration.is_some(), interest == Interest::Durations);
    }
}

#[tokio::test(start_paused = true)]
async fn each_listener_receives_only_what_it_is_interested_in() {
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
async fn a_closure_receives_all_events_and_on_transition_only_transitions() {
    let reported = Arc::new(AtomicU32::new(0));
    let count = |reported: &Arc<AtomicU32>| {
        let reported = reported.clone();
        move |_: &Event<'_>| {
            reported.fetch_add(1, Ordering::Relaxed);
        }
    };
    let breaker = sensitive().on_event(count(&reported)).build().unwrap();
    permit(&breaker).success();
    assert_eq!(reported.swap(0, Ordering::Relaxed), 1);

    let breaker = sensitive().listener(count(&reported)).build().unwrap();
    permit(&breaker).success();
    assert_eq!(reported.swap(0, Ordering::Relaxed), 1);

    let transitions = reported.clone();
    let breaker = sensitive()
        .on_transition(move |_| {
            transitions.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    permit(&breaker).success();
    breaker.force_closed(); // an action without effect
    assert_eq!(reported.swap(0, Ordering::Relaxed), 0);
    breaker.force_open();
    assert_eq!(reported.swap(0, Ordering::Relaxed), 1);
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
fn a_breaker_works_without_listeners() {
    let breaker = CircuitBreaker::new("test");
    permit(&breaker).success();
    breaker.trip();
    assert_eq!(breaker.history().len(), 1);
}
