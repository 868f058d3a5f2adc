//! No lock is held while a listener runs, and changes of a circuit are reported one at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use tower_breaker::{Event, EventKind, HalfOpen, Interest, Listener, State, Transition};

use crate::{Log, Reported, permit, sensitive};

/// Longer than anything takes that does not wait for ever.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn while_a_listener_blocks_others_can_use_the_breaker() {
    for blocks_on in ["transition", "settled", "rejected"] {
        let (is_reported, reported) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let may_go_on = Mutex::new(Some(may_go_on));
        let log = Log::new(Interest::Transitions);
        let breaker = sensitive()
            .on_event(move |event: &Event<'_>| {
                let kind = match event.kind() {
                    EventKind::Transition(_) => "transition",
                    EventKind::Settled(_) => "settled",
                    EventKind::Rejected(_) => "rejected",
                    _ => return,
                };
                let blocker =
                    (kind == blocks_on).then(|| may_go_on.lock().unwrap().take()).flatten();
                if let Some(may_go_on) = blocker {
                    is_reported.send(()).unwrap();
                    may_go_on.recv().unwrap();
                }
            })
            .listener(log.clone())
            .build()
            .unwrap();
        thread::scope(|scope| {
            let blocked = scope.spawn(|| {
                permit(&breaker).failure();
                drop(breaker.try_acquire());
            });
            reported.recv_timeout(LONG).expect("it is reported");
            let (done, is_done) = channel();
            scope.spawn({
                let breaker = &breaker;
                move || {
                    breaker.reset();
                    permit(breaker).success();
                    permit(breaker).failure();
                    drop(breaker.try_acquire());
                    breaker.force_open();
                    breaker.resume();
                    permit(breaker).success();
                    drop(breaker.subscribe());
                    assert!(!breaker.history().is_empty());
                    done.send(breaker.state()).unwrap();
                }
            });
            let state = is_done.recv_timeout(LONG);
            go_on.send(()).unwrap();
            assert_eq!(state, Ok(State::Closed), "blocked on {blocks_on}");
            blocked.join().unwrap();
        });
        assert_a_chain(&log.transitions());
    }
}

#[track_caller]
fn assert_a_chain(transitions: &[Transition]) -> State {
    let mut state = State::Closed;
    for transition in transitions {
        assert_eq!(transition.from(), state, "{transition}");
        state = transition.to();
    }
    state
}

/// Checks the same, except that transitions may be missing where events were dropped.
#[track_caller]
fn assert_a_chain_with_gaps(reported: &[Reported]) -> Option<State> {
    let mut state = Some(State::Closed);
    for event in reported {
        match event {
            Reported::Lagged(_) => state = None,
            Reported::Transition(transition) => {
                assert!(state.is_none_or(|state| state == transition.from()), "{transition}");
                state = Some(transition.to());
            }
            _ => {}
        }
    }
    state
}

/// A listener that notes whether two threads were in it at the same time.
struct Alone {
    is_occupied: AtomicBool,
    met_another: Arc<AtomicBool>,
}

impl Listener for Alone {
    fn on_event(&self, _: &Event<'_>) {
        if self.is_occupied.swap(true, Ordering::SeqCst) {
            self.met_another.store(true, Ordering::SeqCst);
        }
        thread::yield_now();
        self.is_occupied.store(false, Ordering::SeqCst);
    }

    fn interest(&self) -> Interest {
        Interest::Transitions
    }
}

#[test]
fn what_changes_the_circuit_is_reported_one_at_a_time_in_order_and_what_is_dropped_is_counted() {
    let met_another = Arc::<AtomicBool>::default();
    let log = Log::new(Interest::Transitions);
    let breaker = sensitive()
        .consecutive_failures(3)
        .open_duration(Duration::from_nanos(1))
        .half_open(HalfOpen::consecutive_successes(1))
        .listener(Alone { is_occupied: AtomicBool::new(false), met_another: met_another.clone() })
        .listener(log.clone())
        .build()
        .unwrap();
    let acted = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (breaker, acted) = (&breaker, &acted);
            scope.spawn(move || {
                for round in 0..2000_u64 {
                    match (round * 7 + thread * 3) % 11 {
                        0 => breaker.trip(),
                        1 => breaker.reset(),
                        2 => breaker.force_open(),
                        3 => breaker.force_closed(),
                        4 | 5 => breaker.resume(),
                        n => {
                            if let Ok(permit) = breaker.try_acquire() {
                                if n % 2 == 0 { permit.failure() } else { permit.success() }
                            }
                            continue;
                        }
                    }
                    acted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(!met_another.load(Ordering::SeqCst), "two events were reported at the same time");
    let reported = log.take();
    assert_eq!(assert_a_chain_with_gaps(&reported), Some(breaker.state()));
    let missed = reported
        .iter()
        .map(|reported| if let Reported::Lagged(n) = reported { *n } else { 0 })
        .sum::<u64>();
    let actions =
        reported.iter().filter(|reported| matches!(reported, Reported::Action(_))).count() as u64;
    let acted = acted.load(Ordering::Relaxed);
    assert!((acted - missed.min(acted)..=acted).contains(&actions), "{actions} of {acted}");
    let transitions: Vec<Transition> = reported
        .into_iter()
        .filter_map(|reported| {
            if let Reported::Transition(transition) = reported { Some(transition) } else { None }
        })
        .collect();
    assert!(transitions.windows(2).all(|two| two[0].at() <= two[1].at()), "in order of time");
    assert_eq!(breaker.history().last(), transitions.last());
}

#[test]
fn what_single_calls_do_is_reported_by_several_threads_at_once() {
    let both = Arc::new(Barrier::new(2));
    let met = both.clone();
    // Each thread waits in the listener for the other one.
    let breaker = sensitive()
        .on_event(move |event: &Event<'_>| {
            if let EventKind::Settled(_) = event.kind() {
                met.wait();
            }
        })
        .build()
        .unwrap();
    let (done, is_done) = channel();
    for _ in 0..2 {
        let (breaker, done) = (breaker.clone(), done.clone());
        thread::spawn(move || {
            permit(&breaker).success();
            done.send(()).unwrap();
        });
    }
    for _ in 0..2 {
        is_done.recv_timeout(LONG).expect("neither waits for the other to have been reported");
    }
}
