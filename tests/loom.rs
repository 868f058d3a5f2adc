//! Models for loom. It runs every interleaving of a few threads, with every value that the memory model allows
//! them to read, and so checks the atomic shell around the state machine. Run it with
//!
//! ```sh
//! RUSTFLAGS="--cfg tower_breaker_loom -C debug-assertions -C overflow-checks" \
//!     cargo test --release --features keyed --test loom --target-dir target/loom
//! ```
//!
//! The models of the metrics need the feature `metrics`. With it the others take longer, so name these:
//! `--features keyed,metrics -- metrics::`.
//!
//! A larger `LOOM_MAX_PREEMPTIONS` (3 by default) covers more interleavings and takes longer.
#![cfg(tower_breaker_loom)]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::sync::Arc;
use loom::thread;
use tower::{Layer, Service, service_fn};
use tower_breaker::model::{lease_stripe, set_time, use_stripe};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, HalfOpen, Permit, RejectReason,
    SlidingWindow, State,
};

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(move || {
        set_time(Duration::ZERO);
        check();
    });
}

const SECOND: Duration = Duration::from_secs(1);

/// Creates settings with an open period that is longer than any model.
fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("model").open_duration(Duration::MAX)
}

fn time_window() -> CircuitBreaker {
    let window = SlidingWindow::time(Duration::from_secs(1_000_000));
    builder().failure_rate_threshold(1.0).sliding_window(window).build().unwrap()
}

fn count_window(size: u32) -> CircuitBreaker {
    let window = SlidingWindow::count(size);
    builder().failure_rate_threshold(1.0).sliding_window(window).build().unwrap()
}

/// Creates a half-open circuit without waiting, because time does not pass in a model.
fn half_open(probes: u32) -> CircuitBreaker {
    let rule = HalfOpen::consecutive_successes(probes);
    let breaker = builder().half_open(rule).build().unwrap();
    breaker.force_open();
    breaker.resume();
    breaker
}

fn permit(breaker: &CircuitBreaker) -> Permit {
    breaker.try_acquire().unwrap()
}

fn spawn(action: impl FnOnce() + 'static) -> thread::JoinHandle<()> {
    thread::spawn(action)
}

#[test]
fn successes_and_failures_of_a_time_window_are_all_counted() {
    model(|| {
        let breaker = time_window();
        permit(&breaker).success(); // from now on, successes are counted without the lock
        let (a, b) = (permit(&breaker), permit(&breaker));
        let others = [spawn(move || a.success()), spawn(move || b.failure())];
        permit(&breaker).success();
        others.into_iter().for_each(|other| other.join().unwrap());
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.calls(), snapshot.failures()), (4, 1));
    });
}

#[test]
fn a_snapshot_includes_the_successes_that_were_counted_without_the_lock_before() {
    model(|| {
        let breaker = time_window();
        permit(&breaker).success();
        let (a, b) = (permit(&breaker), permit(&breaker));
        let other = spawn(move || a.success());
        b.success();
        assert!((2..=3).contains(&breaker.snapshot().calls()));
        other.join().unwrap();
        assert_eq!(breaker.snapshot().calls(), 3);
    });
}

#[test]
fn a_success_is_not_counted_in_the_period_after_a_reset() {
    model(|| {
        let breaker = time_window();
        permit(&breaker).success();
        let stale = permit(&breaker);
        let other = spawn(move || stale.success());
        breaker.reset();
        permit(&breaker).success(); // in the new period
        other.join().unwrap();
        assert_eq!(breaker.snapshot().calls(), 1);
    });
}

#[test]
fn a_stale_success_is_not_counted_in_a_later_slice() {
    model(|| {
        let breaker = time_window();
        permit(&breaker).success();
        let stale = permit(&breaker);
        let other = spawn(move || stale.success());
        breaker.reset(); // ends the slice of the stale success
        assert_eq!(breaker.snapshot().calls(), 0); // ends the next slice
        other.join().unwrap();
        assert_eq!(breaker.snapshot().calls(), 0);
    });
}

#[test]
fn a_stale_success_does_not_end_a_failure_streak() {
    model(|| {
        let breaker = builder().consecutive_failures(2).build().unwrap();
        let stale = permit(&breaker);
        let other = spawn(move || stale.success());
        breaker.reset();
        permit(&breaker).failure();
        other.join().unwrap();
        assert_eq!(breaker.snapshot().consecutive_failures(), 1);
    });
}

#[test]
fn two_failures_at_the_same_time_are_a_streak_of_two() {
    model(|| {
        let breaker = builder().consecutive_failures(2).build().unwrap();
        let (a, b) = (permit(&breaker), permit(&breaker));
        let other = spawn(move || a.failure());
        b.failure();
        other.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
        assert!(breaker.try_acquire().is_err());
    });
}

#[test]
fn a_count_window_full_of_successes_does_not_miss_a_failure() {
    model(|| {
        let breaker = count_window(2);
        (0..2).for_each(|_| permit(&breaker).success());
        let (a, b) = (permit(&breaker), permit(&breaker));
        let other = spawn(move || a.failure());
        b.success();
        other.join().unwrap();
        // Whichever came first, the window holds two calls, and one of them is the failure.
        assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (2, 1));
    });
}

#[test]
fn successes_and_failures_of_a_count_window_are_all_counted() {
    model(|| {
        let breaker = count_window(10);
        permit(&breaker).failure();
        permit(&breaker).success(); // from now on, successes are counted without the lock
        let (a, b) = (permit(&breaker), permit(&breaker));
        let others = [spawn(move || a.success()), spawn(move || b.failure())];
        permit(&breaker).success();
        others.into_iter().for_each(|other| other.join().unwrap());
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.calls(), snapshot.failures()), (5, 2));
    });
}

#[test]
fn successes_and_failures_that_are_logged_are_all_counted() {
    model(|| {
        let breaker = count_window(100);
        permit(&breaker).success();
        permit(&breaker).failure(); // from now on, results are logged without the lock
        let (a, b) = (permit(&breaker), permit(&breaker));
        let others = [spawn(move || a.success()), spawn(move || b.failure())];
        permit(&breaker).failure();
        assert!(breaker.snapshot().failures() >= 2);
        others.into_iter().for_each(|other| other.join().unwrap());
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.calls(), snapshot.failures()), (5, 3));
    });
}

#[test]
fn a_failure_at_the_end_of_a_bucket_is_logged_in_one_bucket() {
    model(|| {
        let window = SlidingWindow::time(2 * SECOND).buckets(2);
        let breaker = builder().failure_rate_threshold(1.0).sliding_window(window).build().unwrap();
        permit(&breaker).success();
        permit(&breaker).failure(); // from now on, results are logged
        let late = permit(&breaker);
        let other = spawn(move || late.failure());
        set_time(SECOND);
        permit(&breaker).success();
        other.join().unwrap();
        assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (4, 2));
        set_time(2 * SECOND); // the first bucket has left the window, and the second one has not
        assert!((1..=2).contains(&breaker.snapshot().calls()));
        set_time(3 * SECOND);
        assert_eq!(breaker.snapshot().calls(), 0);
    });
}

#[test]
fn a_result_that_is_late_for_its_slice_is_neither_logged_nor_counted_in_the_next_ones() {
    model(|| {
        let breaker = count_window(100);
        permit(&breaker).success(); // successes are counted
        let stale = permit(&breaker);
        let other = spawn(move || stale.success());
        permit(&breaker).failure(); // results are logged
        breaker.reset();
        permit(&breaker).success(); // successes are counted again
        other.join().unwrap();
        assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (1, 0));
    });
}

#[test]
fn a_stale_failure_is_not_logged_in_a_later_slice() {
    model(|| {
        let breaker = count_window(100);
        permit(&breaker).success();
        permit(&breaker).failure();
        let stale = permit(&breaker);
        let other = spawn(move || stale.failure());
        breaker.reset();
        permit(&breaker).success();
        permit(&breaker).failure(); // results are logged again
        other.join().unwrap();
        assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (2, 1));
    });
}

#[test]
fn failures_that_are_logged_and_one_that_is_not_are_one_streak() {
    model(|| {
        let breaker = builder().consecutive_failures(4).build().unwrap();
        permit(&breaker).failure(); // the log has capacity for two more
        let (a, b) = (permit(&breaker), permit(&breaker));
        let others = [spawn(move || a.failure()), spawn(move || b.failure())];
        permit(&breaker).failure();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(breaker.state(), State::Open);
    });
}

#[test]
fn calls_after_a_trip_are_rejected() {
    model(|| {
        let breaker = time_window();
        // Loom tries both values that a load may return, but only if the store comes first.
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.try_acquire().ok())
        };
        breaker.trip();
        assert_eq!(breaker.try_acquire().unwrap_err().reason(), RejectReason::Open);
        let tripped = breaker.snapshot();
        let _ = other.join().unwrap().map(Permit::success);
        assert_eq!(breaker.snapshot().calls(), tripped.calls());
    });
}

#[test]
fn no_more_probes_than_permitted_are_admitted() {
    model(|| {
        let breaker = half_open(2);
        let ask = |breaker: CircuitBreaker| move || breaker.try_acquire().ok();
        let others = [thread::spawn(ask(breaker.clone())), thread::spawn(ask(breaker.clone()))];
        let own = breaker.try_acquire().ok();
        let probes: Vec<Permit> =
            others.into_iter().filter_map(|other| other.join().unwrap()).chain(own).collect();
        assert_eq!(probes.len(), 2);
        assert!(breaker.try_acquire().is_err());
        probes.into_iter().for_each(Permit::success);
        assert_eq!(breaker.state(), State::Closed);
    });
}

#[test]
fn when_the_wait_has_elapsed_no_more_probes_than_permitted_are_admitted() {
    model(|| {
        let rule = HalfOpen::consecutive_successes(1);
        let breaker = builder().open_duration(SECOND).half_open(rule).build().unwrap();
        breaker.trip();
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.try_acquire().ok())
        };
        set_time(SECOND);
        let own = breaker.try_acquire().ok();
        let theirs = other.join().unwrap();
        assert_eq!(own.iter().chain(&theirs).count(), 1);
        assert_eq!(breaker.state(), State::HalfOpen);
    });
}

#[test]
fn a_trip_and_a_result_leave_the_circuit_open_whichever_comes_first() {
    model(|| {
        let breaker = time_window();
        permit(&breaker).success();
        let (a, b) = (permit(&breaker), permit(&breaker));
        let others = [spawn(move || a.success()), spawn(move || b.failure())];
        breaker.trip();
        let tripped = breaker.snapshot();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(breaker.state(), State::Open);
        assert_eq!(breaker.snapshot().calls(), tripped.calls(), "a stale result was counted");
    });
}

#[test]
fn a_probe_that_is_dropped_when_it_times_out_frees_at_most_one_slot() {
    model(|| {
        let rule = HalfOpen::consecutive_successes(1);
        let builder = builder().half_open(rule).open_duration(SECOND).probe_timeout(SECOND);
        let breaker = builder.build().unwrap();
        breaker.force_open();
        breaker.resume();
        let probe = permit(&breaker);
        let other = spawn(move || drop(probe));
        set_time(SECOND);
        let next = breaker.try_acquire();
        other.join().unwrap();
        // If the probe was dropped in time, it gave its slot back. If not, the circuit is open.
        match &next {
            Ok(_) => assert!(breaker.try_acquire().is_err(), "two probes have the same slot"),
            Err(rejected) => assert_ne!(rejected.reason(), RejectReason::HalfOpen),
        }
        drop(next);
        set_time(2 * SECOND);
        assert!(breaker.try_acquire().is_ok(), "the circuit is stuck");
    });
}

#[test]
fn a_success_at_the_end_of_a_bucket_is_counted_in_one_bucket() {
    model(|| {
        let window = SlidingWindow::time(2 * SECOND).buckets(2);
        let breaker = builder().failure_rate_threshold(1.0).sliding_window(window).build().unwrap();
        permit(&breaker).success();
        let late = permit(&breaker);
        let other = spawn(move || late.success());
        set_time(SECOND);
        permit(&breaker).success();
        other.join().unwrap();
        assert_eq!(breaker.snapshot().calls(), 3);
        set_time(2 * SECOND); // the first bucket has left the window, and the second one has not
        assert!((1..=2).contains(&breaker.snapshot().calls()));
        set_time(3 * SECOND);
        assert_eq!(breaker.snapshot().calls(), 0);
    });
}

#[test]
fn a_slot_that_is_given_back_can_be_taken_once() {
    model(|| {
        let breaker = half_open(1);
        let probe = permit(&breaker);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.try_acquire().ok())
        };
        drop(probe);
        let own = breaker.try_acquire().ok();
        let theirs = other.join().unwrap();
        assert!(own.is_none() || theirs.is_none());
        assert!(own.is_some() || theirs.is_some() || breaker.try_acquire().is_ok());
    });
}

#[test]
fn a_probe_does_not_undo_what_an_operator_did() {
    model(|| {
        let breaker = half_open(1);
        let probe = permit(&breaker);
        let other = spawn(move || probe.success());
        breaker.force_open();
        other.join().unwrap();
        assert_eq!(breaker.try_acquire().unwrap_err().reason(), RejectReason::ForcedOpen);
    });
}

#[test]
fn a_rejection_tells_the_reason_and_the_time_of_the_same_period() {
    model(|| {
        let breaker = builder().build().unwrap();
        breaker.trip();
        let other = {
            let breaker = breaker.clone();
            spawn(move || {
                let rejected = breaker.try_acquire().unwrap_err();
                let is_forced = rejected.reason() == RejectReason::ForcedOpen;
                assert_eq!(is_forced, rejected.retry_after() == Some(SECOND), "{rejected}");
            })
        };
        breaker.force_open_for(SECOND);
        other.join().unwrap();
    });
}

#[test]
fn a_permit_that_outlives_its_breaker_has_no_effect() {
    model(|| {
        let breaker = time_window();
        permit(&breaker).success();
        let late = permit(&breaker);
        let other = spawn(move || late.success());
        drop(breaker);
        other.join().unwrap();
    });
}

#[test]
fn concurrent_transitions_are_notified_completely_and_in_order() {
    model(|| {
        // The mutex is not loom's, because no other thread runs while it is locked.
        let received = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let listener = received.clone();
        let breaker = builder()
            .on_transition(move |change| {
                listener.lock().unwrap().push((change.from(), change.to()));
            })
            .build()
            .unwrap();
        let other = {
            let breaker = breaker.clone();
            spawn(move || breaker.trip())
        };
        breaker.force_open();
        breaker.force_closed();
        other.join().unwrap();
        let mut state = State::Closed;
        for (from, to) in received.lock().unwrap().drain(..) {
            assert_eq!(from, state);
            state = to;
        }
        assert_eq!(state, breaker.state(), "the last transition was not notified");
    });
}

/// In a model, a thread hands over after one notification. If nobody took over, or if both threads waited
/// for each other, the model would fail.
#[test]
fn a_thread_that_hands_over_leaves_nothing_unreported() {
    static HAS_HANDED_OVER: AtomicBool = AtomicBool::new(false);
    model(|| {
        // Not loom's: it is locked for a moment only, in which no other thread can run.
        let reported = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let listener = reported.clone();
        let breaker = builder()
            .listener(move |event: &tower_breaker::Event<'_>| {
                let reporter = thread::current().id();
                listener.lock().unwrap().push((event.to_string(), reporter));
            })
            .build()
            .unwrap();
        let others = [(); 2].map(|()| {
            let breaker = breaker.clone();
            spawn(move || breaker.resume())
        });
        breaker.force_open(); // two events
        others.into_iter().for_each(|other| other.join().unwrap());
        let reported = reported.lock().unwrap();
        let of = |text| reported.iter().filter(move |(event, _)| event.contains(text));
        assert_eq!(of("->").count(), breaker.history().len(), "{reported:?}");
        assert_eq!((of(": force_open").count(), of(": resume").count()), (1, 2), "{reported:?}");
        let reporter = |text| of(text).next().unwrap().1;
        if reporter(": force_open") != reporter("(forced open)") {
            HAS_HANDED_OVER.store(true, Ordering::SeqCst);
        }
    });
    assert!(HAS_HANDED_OVER.load(Ordering::SeqCst), "the model is too small");
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn checks_end_when_the_last_handle_is_dropped() {
    model(|| {
        let breaker = builder().build().unwrap();
        let mut checks = pin!(breaker.probe_with(std::future::pending::<Result<(), ()>>));
        let other = spawn(move || drop(breaker));
        let flag = std::sync::Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        let first = checks.as_mut().poll(&mut Context::from_waker(&waker));
        other.join().unwrap();
        if first.is_pending() {
            assert!(flag.0.load(Ordering::SeqCst), "the checks were not woken");
            assert!(checks.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        }
    });
}

#[test]
fn a_waiting_caller_is_woken() {
    model(|| {
        let breaker = Arc::new(builder().build().unwrap());
        breaker.force_open();
        let other = {
            let breaker = breaker.clone();
            spawn(move || breaker.force_closed())
        };
        let flag = std::sync::Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        let mut acquire = pin!(breaker.acquire());
        let first = acquire.as_mut().poll(&mut Context::from_waker(&waker));
        other.join().unwrap();
        if first.is_pending() {
            assert!(flag.0.load(Ordering::SeqCst), "the caller was not woken");
            let again = acquire.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(matches!(again, Poll::Ready(_)));
        }
    });
}

/// A registry drops a circuit only if that loses nothing. The circuits of keys count their calls for this.
#[test]
fn a_call_that_begins_and_ends_around_a_reset_counts_in_one_period() {
    model(|| {
        let breaker = time_window();
        permit(&breaker).success();
        let other = {
            let breaker = breaker.clone();
            spawn(move || permit(&breaker).failure())
        };
        breaker.reset();
        let after = breaker.snapshot();
        other.join().unwrap();
        let (calls, failures) = (breaker.snapshot().calls(), breaker.snapshot().failures());
        assert_eq!(calls, failures, "the success was before the reset");
        assert!(after.calls() <= calls && calls <= 1);
        permit(&breaker).failure();
        assert_eq!(breaker.snapshot().consecutive_failures(), calls + 1);
    });
}

#[test]
fn a_late_result_of_a_breaker_has_no_effect_on_the_next_one_in_its_circuit() {
    model(|| {
        let earlier = time_window();
        permit(&earlier).success();
        let (a, b) = (permit(&earlier), permit(&earlier));
        let others = [spawn(move || a.success()), spawn(move || b.failure())];
        drop(earlier); // its circuit goes back to the pool
        let breaker = time_window();
        permit(&breaker).success();
        others.into_iter().for_each(|other| other.join().unwrap());
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.calls(), snapshot.failures()), (1, 0));
    });
}

#[test]
fn successes_in_two_stripes_are_all_counted_in_their_period() {
    model(|| {
        let breaker = time_window();
        permit(&breaker).success();
        let (a, b) = (permit(&breaker), permit(&breaker));
        let others = [(a, 0), (b, 1)].map(|(permit, stripe)| {
            spawn(move || {
                use_stripe(stripe);
                permit.success();
            })
        });
        permit(&breaker).failure(); // ends the slice
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (4, 1));
        breaker.reset();
        assert_eq!(breaker.snapshot().calls(), 0);
    });
}

#[test]
fn whoever_sees_an_open_circuit_sees_the_end_of_this_wait_and_not_of_an_earlier_one() {
    model(|| {
        let breaker = CircuitBreaker::builder("model")
            .consecutive_failures(1)
            .open_duration(SECOND)
            .build()
            .unwrap();
        permit(&breaker).failure_retry_after(100 * SECOND);
        breaker.reset();
        let other = {
            let breaker = breaker.clone();
            spawn(move || {
                if let Err(rejected) = breaker.try_acquire() {
                    assert!(rejected.retry_after().unwrap() <= SECOND, "{rejected}");
                }
            })
        };
        breaker.trip();
        other.join().unwrap();
    });
}

/// Polls a service once, and checks that it is woken if it has to wait although the circuit has changed.
fn is_woken<S: Service<()>>(mut service: S, act: impl FnOnce() + 'static) {
    let other = spawn(act);
    let flag = std::sync::Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let first = service.poll_ready(&mut Context::from_waker(&waker)).is_pending();
    other.join().unwrap();
    if first {
        assert!(flag.0.load(Ordering::SeqCst), "the service was not woken");
    }
    assert!(service.poll_ready(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn a_service_that_waits_for_the_circuit_is_woken() {
    model(|| {
        let breaker = builder().build().unwrap();
        breaker.force_open();
        let inner = service_fn(|()| std::future::ready(Ok::<(), ()>(())));
        let layer = CircuitBreakerLayer::new(breaker.clone()).backpressure();
        is_woken(layer.layer(inner), move || breaker.force_closed());
    });
}

#[test]
fn a_service_that_waits_for_the_inner_service_is_woken_by_a_trip() {
    model(|| {
        let breaker = builder().build().unwrap();
        let never = std::future::pending::<Result<tower::util::BoxService<(), (), ()>, ()>>();
        let inner = tower::util::future_service(Box::pin(never));
        let service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
        is_woken(service, move || breaker.trip());
    });
}

/// Lets one thread change the settings of a circuit while another one settles a call. Checks what this call has led
/// to if the thread has seen the new settings before.
fn after_a_change(
    before: CircuitBreakerBuilder,
    after: CircuitBreakerBuilder,
    settle: fn(Permit),
    check: fn(&CircuitBreaker),
) {
    let breaker = before.build().unwrap();
    permit(&breaker).success();
    let call = permit(&breaker);
    set_time(SECOND);
    let other = {
        let breaker = breaker.clone();
        spawn(move || {
            let has_changed = breaker.snapshot().enforcement() < 1.0;
            settle(call);
            if has_changed {
                check(&breaker);
            }
        })
    };
    breaker.reconfigure(after.enforcement(0.5)).unwrap();
    other.join().unwrap();
    let snapshot = breaker.snapshot();
    let is_counted = snapshot.state() != State::Closed || snapshot.calls() <= 2;
    assert!(is_counted, "each result is counted once: {snapshot}");
}

#[test]
fn a_failure_after_a_suspicion_has_begun_is_judged_by_the_stricter_rules() {
    model(|| {
        // The limit is half of 4 while it is suspected, and the failures are logged before.
        let window = SlidingWindow::count(64);
        let rules = builder().consecutive_failures(4).failure_rate_threshold(0.9);
        let breaker = rules.minimum_calls(64).sliding_window(window).build().unwrap();
        permit(&breaker).failure();
        let call = permit(&breaker);
        let other = {
            let breaker = breaker.clone();
            spawn(move || {
                let is_suspected = breaker.snapshot().suspected_for().is_some();
                call.failure();
                assert!(!is_suspected || breaker.state() == State::Open);
            })
        };
        breaker.suspect(SECOND);
        other.join().unwrap();
        let failures = breaker.snapshot().consecutive_failures();
        assert_eq!(failures, 2, "each result is counted once");
    });
}

#[test]
fn a_result_at_the_end_of_a_suspicion_is_judged_by_the_rules_of_its_time() {
    model(|| {
        let rules = builder().consecutive_failures(4).failure_rate_threshold(0.9);
        let window = SlidingWindow::time(Duration::from_secs(1_000_000));
        let breaker = rules.minimum_calls(64).sliding_window(window).build().unwrap();
        breaker.suspect(SECOND);
        permit(&breaker).failure();
        let calls = [permit(&breaker), permit(&breaker)];
        set_time(SECOND);
        let others = calls.map(|call| spawn(move || call.failure()));
        others.into_iter().for_each(|other| other.join().unwrap());
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state(), snapshot.consecutive_failures()), (State::Closed, 3));
    });
}

#[test]
fn a_failure_after_a_change_of_settings_is_judged_by_the_new_rules() {
    model(|| {
        after_a_change(
            builder().failure_rate_threshold(0.9).sliding_window(SlidingWindow::count(64)),
            builder().consecutive_failures(1).failure_rate_threshold(0.9),
            Permit::failure,
            |breaker| assert_eq!(breaker.state(), State::Open),
        );
    });
}

#[test]
fn a_success_after_a_change_of_settings_is_slow_by_the_new_duration() {
    let timing = |d| {
        let window = SlidingWindow::time(Duration::from_secs(1_000_000));
        let slow = builder().slow_call_duration_threshold(d).slow_call_rate_threshold(1.0);
        slow.sliding_window(window)
    };
    model(move || {
        after_a_change(timing(2 * SECOND), timing(SECOND), Permit::success, |breaker| {
            assert_eq!(breaker.snapshot().slow_calls(), 1);
        });
    });
    model(move || {
        after_a_change(timing(SECOND), timing(2 * SECOND), Permit::success, |breaker| {
            assert_eq!(breaker.snapshot().slow_calls(), 0);
        });
    });
}

#[test]
fn a_call_that_was_admitted_untimed_is_never_slow_however_it_meets_a_change_of_settings() {
    model(|| {
        let untimed = builder().failure_rate_threshold(1.0).sliding_window(SlidingWindow::count(1));
        let timed =
            untimed.clone().slow_call_duration_threshold(SECOND).slow_call_rate_threshold(0.1);
        let breaker = untimed.build().unwrap();
        permit(&breaker).success(); // the window is full, so that successes have no effect
        let call = permit(&breaker);
        set_time(2 * SECOND);
        let other = spawn(move || call.success());
        breaker.reconfigure(timed).unwrap();
        other.join().unwrap();
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.snapshot().slow_calls(), 0);
    });
}

#[test]
fn no_more_probes_than_the_new_rule_permits_are_admitted_after_a_change_of_settings() {
    model(|| {
        let breaker = half_open(3);
        let first = permit(&breaker);
        let other = {
            let breaker = breaker.clone();
            spawn(move || {
                let _probe = breaker.try_acquire();
            })
        };
        breaker.reconfigure(builder().half_open(HalfOpen::consecutive_successes(1))).unwrap();
        assert!(breaker.try_acquire().is_err(), "the first probe is in flight");
        other.join().unwrap();
        assert_eq!(breaker.snapshot().probes_in_flight(), 1);
        first.success();
        assert_eq!(breaker.state(), State::Closed);
    });
}

#[test]
fn of_two_rejections_at_the_same_time_one_is_enforced_at_a_half() {
    model(|| {
        let breaker = builder().enforcement(0.5).build().unwrap();
        breaker.trip();
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.try_acquire().is_err())
        };
        let own = breaker.try_acquire().is_err();
        assert_ne!(own, other.join().unwrap());
    });
}

// ---- calls in flight --------------------------------------------------------------------------

/// Calls hang after 5 to 6 seconds.
fn watching(hung_after: Duration) -> CircuitBreakerBuilder {
    let window = SlidingWindow::count(10);
    builder().failure_rate_threshold(1.0).sliding_window(window).hung_after(hung_after)
}

fn in_flight(breaker: &CircuitBreaker) -> (Option<u64>, Option<u64>) {
    let snapshot = breaker.snapshot();
    (snapshot.calls_in_flight(), snapshot.hung_calls())
}

#[test]
fn a_call_that_ends_while_it_is_found_to_hang_is_in_flight_no_longer() {
    model(|| {
        let breaker = watching(4 * SECOND).build().unwrap();
        permit(&breaker).success(); // from now on, calls begin and end without the lock
        let [first, second] = [permit(&breaker), permit(&breaker)];
        set_time(6 * SECOND);
        let other = spawn(move || {
            use_stripe(1);
            first.success();
        });
        let (calls, hung) = in_flight(&breaker);
        assert!(calls == hung && (Some(1)..=Some(2)).contains(&calls));
        other.join().unwrap();
        assert_eq!(in_flight(&breaker), (Some(1), Some(1)));
        second.success();
        assert_eq!(in_flight(&breaker), (Some(0), Some(0)));
        assert_eq!(breaker.snapshot().calls(), 3);
    });
}

#[test]
fn a_call_that_begins_around_a_transition_is_in_flight_in_one_period_at_most() {
    model(|| {
        let breaker = watching(4 * SECOND).build().unwrap();
        permit(&breaker).success();
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || {
                use_stripe(1);
                permit(&breaker)
            })
        };
        breaker.reset();
        let own = permit(&breaker);
        let permit = other.join().unwrap();
        let (calls, _) = in_flight(&breaker);
        assert!((Some(1)..=Some(2)).contains(&calls));
        permit.ignore();
        assert_eq!(in_flight(&breaker).0, Some(1));
        own.ignore();
        assert_eq!(in_flight(&breaker).0, Some(0));
    });
}

#[test]
fn a_call_that_ends_around_a_transition_does_not_leave_the_next_period() {
    model(|| {
        let breaker = watching(4 * SECOND).build().unwrap();
        permit(&breaker).success();
        let stale = permit(&breaker);
        let other = spawn(move || {
            use_stripe(1);
            stale.success();
        });
        breaker.reset();
        let own = permit(&breaker);
        other.join().unwrap();
        assert_eq!(in_flight(&breaker).0, Some(1));
        own.success();
        assert_eq!((in_flight(&breaker).0, breaker.snapshot().calls()), (Some(0), 1));
    });
}

#[test]
fn a_call_that_ends_while_the_time_that_makes_it_hang_changes_leaves_no_other() {
    model(|| {
        let breaker = watching(4 * SECOND).build().unwrap();
        permit(&breaker).success();
        let earlier = permit(&breaker);
        let other = spawn(move || {
            use_stripe(1);
            earlier.success();
        });
        breaker.reconfigure(watching(8 * SECOND)).unwrap();
        let own = permit(&breaker);
        other.join().unwrap();
        assert_eq!(in_flight(&breaker).0, Some(1));
        own.success();
        assert_eq!((in_flight(&breaker).0, breaker.snapshot().calls()), (Some(0), 3));
    });
}

#[test]
fn a_success_ends_the_streak_of_the_calls_that_hang_before_it() {
    model(|| {
        let breaker = builder().consecutive_failures(2).hung_after(4 * SECOND).build().unwrap();
        permit(&breaker).success();
        let (first, _hangs) = (permit(&breaker), permit(&breaker));
        let _hangs_too = permit(&breaker);
        set_time(6 * SECOND);
        let other = spawn(move || {
            use_stripe(1);
            first.success();
        });
        other.join().unwrap();
        let late = breaker.try_acquire().unwrap();
        let other = spawn(move || late.success());
        assert!(breaker.try_acquire().is_ok());
        other.join().unwrap();
        assert_eq!(breaker.state(), State::Closed);
    });
}

#[cfg(feature = "keyed")]
mod keyed {
    use tower_breaker::keyed::CircuitBreakerRegistry;
    use tower_breaker::{Event, EventKind, Interest, Listener};

    use super::*;

    /// A registry of one circuit, which opens on the first failure.
    fn circuits() -> CircuitBreakerRegistry<u32> {
        let template = builder().consecutive_failures(1);
        CircuitBreakerRegistry::builder(template).capacity(1).build().unwrap()
    }

    #[test]
    fn no_circuit_is_evicted_while_a_failure_is_being_settled() {
        model(|| {
            let circuits = circuits();
            let permit = circuits.try_acquire(&1).unwrap();
            let other = spawn(move || permit.failure());
            circuits.try_acquire(&2).unwrap().success();
            other.join().unwrap();
            let breaker = circuits.get(&1).expect("it was in use or open all the time");
            assert_eq!(breaker.state(), State::Open);
        });
    }

    /// Notes that the registry could not keep a circuit. Not loom's: it is written and read in one step.
    struct IsFull(std::sync::Arc<AtomicBool>);

    impl Listener for IsFull {
        fn on_event(&self, event: &Event<'_>) {
            if let EventKind::RegistryFull { .. } = event.kind() {
                self.0.store(true, Ordering::SeqCst);
            }
        }

        fn interest(&self) -> Interest {
            Interest::Transitions
        }
    }

    /// One thread fails with a key, and another one makes a call with another key, for which there is no capacity.
    fn evict_while_a_call_begins(use_stripe: fn(usize)) {
        use_stripe(0);
        let is_full = std::sync::Arc::new(AtomicBool::new(false));
        let template = builder().consecutive_failures(1).listener(IsFull(is_full.clone()));
        let circuits = CircuitBreakerRegistry::builder(template).capacity(1).build().unwrap();
        circuits.try_acquire(&1).unwrap().success();
        let other = {
            let circuits = circuits.clone();
            spawn(move || {
                use_stripe(1);
                circuits.try_acquire(&1).unwrap().failure();
            })
        };
        circuits.try_acquire(&2).unwrap().success();
        other.join().unwrap();
        // Either the call came first, and its circuit stays, or its circuit was evicted before and created anew, unless
        // that of the other key was still in use.
        let open = circuits.get(&1).map(|breaker| breaker.state());
        assert!(matches!(open, Some(State::Open) | None), "{open:?}");
        assert_eq!(open.is_none(), circuits.get(&2).is_some());
        assert!(open.is_some() || is_full.load(Ordering::SeqCst), "a failure was lost");
    }

    #[test]
    fn a_call_is_in_flight_before_its_circuit_can_be_evicted() {
        model(|| evict_while_a_call_begins(|_| use_stripe(0)));
    }

    /// The same for threads that do not share their stripes, and so count calls without a read-modify-write.
    #[test]
    fn a_call_that_a_thread_counts_alone_is_in_flight_before_its_circuit_can_be_evicted() {
        model(|| evict_while_a_call_begins(lease_stripe));
    }

    /// A call may begin in one stripe and end in another.
    #[test]
    fn no_circuit_is_evicted_while_another_thread_settles_a_failure() {
        model(|| {
            lease_stripe(0);
            let circuits = circuits();
            let permit = circuits.try_acquire(&1).unwrap();
            let other = spawn(move || {
                lease_stripe(1);
                permit.failure();
            });
            circuits.try_acquire(&2).unwrap().success();
            other.join().unwrap();
            let breaker = circuits.get(&1).expect("it was in use or open all the time");
            assert_eq!(breaker.state(), State::Open);
        });
    }

    #[test]
    fn no_circuit_is_swept_while_a_probe_is_admitted_in_flight_or_settled() {
        model(|| {
            let template = builder().consecutive_failures(1).open_duration(SECOND);
            let template = template.half_open(HalfOpen::consecutive_successes(1));
            let circuits = CircuitBreakerRegistry::builder(template);
            let circuits = circuits.capacity(1).idle_timeout(SECOND).build().unwrap();
            circuits.try_acquire(&1).unwrap().failure();
            set_time(2 * SECOND);
            circuits.sweep(); // from now on, the circuit has not been used
            set_time(4 * SECOND);
            let other = {
                let circuits = circuits.clone();
                spawn(move || circuits.try_acquire(&1).unwrap().failure())
            };
            circuits.sweep();
            other.join().unwrap();
            // If it was swept, that was before the call, which then got a new circuit.
            let breaker = circuits.get(&1).expect("it is open");
            assert_eq!(breaker.state(), State::Open);
        });
    }

    /// The circuit of a key goes to the pool, and from there to another key, while its last call is settled.
    #[test]
    fn a_circuit_that_is_used_again_does_not_count_the_calls_of_its_former_key() {
        model(|| {
            let circuits = circuits();
            let late = circuits.try_acquire(&1).unwrap();
            let other = spawn(move || late.failure());
            drop(circuits.remove(&1));
            let permit = circuits.try_acquire(&2).unwrap();
            other.join().unwrap();
            circuits.try_acquire(&3).unwrap().success();
            permit.failure();
            let breaker = circuits.get(&2).expect("it was in use all the time");
            assert_eq!(breaker.state(), State::Open);
        });
    }
}

/// Every call that ends while its breaker lives is counted once, in the series of its own breaker.
#[cfg(feature = "metrics")]
mod metrics {
    use super::*;
    use ::metrics::with_local_recorder;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    /// The model is told how to read the number of calls of a breaker that succeeded. It can be read once.
    fn counting(check: impl Fn(&dyn Fn(&str) -> u64) + Sync + Send + 'static) {
        model(move || {
            let recorder = DebuggingRecorder::new();
            let snapshotter = recorder.snapshotter();
            let read = |breaker: &str| {
                let series = snapshotter.snapshot().into_vec().into_iter();
                let counts = series.map(|(key, _, _, value)| {
                    let key = key.key();
                    let mut labels = key.labels().map(|label| (label.key(), label.value()));
                    let is_counted = key.name() == "circuit_breaker_calls_total"
                        && labels.all(|label| {
                            [("breaker", breaker), ("outcome", "success")].contains(&label)
                        });
                    if let (true, DebugValue::Counter(n)) = (is_counted, value) { n } else { 0 }
                });
                counts.sum()
            };
            with_local_recorder(&recorder, || check(&read));
        });
    }

    /// Creates a circuit whose batch has capacity for one success. All its metrics are registered at once, for which the
    /// stack of a thread of a model is too small unless it is told.
    fn breaker(name: &'static str) -> CircuitBreaker {
        let builder = loom::thread::Builder::new().stack_size(64 * 1024);
        let build = move || {
            let breaker = CircuitBreaker::builder(name).consecutive_failures(2).build().unwrap();
            permit(&breaker).success();
            breaker
        };
        builder.spawn(build).unwrap().join().unwrap()
    }

    #[test]
    fn two_successes_and_a_reading_lose_nothing() {
        counting(|read| {
            let breaker = breaker("model");
            let (a, b) = (permit(&breaker), permit(&breaker));
            let reader = breaker.clone();
            let others = [spawn(move || a.success()), spawn(move || drop(reader.snapshot()))];
            b.success();
            others.into_iter().for_each(|other| other.join().unwrap());
            let _ = breaker.snapshot();
            assert_eq!(read("model"), 3);
        });
    }

    #[test]
    fn two_successes_and_a_transition_lose_nothing() {
        counting(|read| {
            let breaker = breaker("model");
            let (a, b) = (permit(&breaker), permit(&breaker));
            let other = spawn(move || {
                a.success();
                b.success();
            });
            breaker.trip();
            other.join().unwrap();
            let _ = breaker.snapshot();
            assert_eq!(read("model"), 3);
        });
    }

    #[test]
    fn whoever_drops_the_last_handle_every_call_before_is_counted() {
        counting(|read| {
            let breaker = Arc::new(breaker("model")); // loom's, because loom does not know what ours synchronizes
            let other = breaker.clone();
            let (a, b) = (permit(&breaker), permit(&breaker));
            let other = spawn(move || {
                use_stripe(1);
                a.success();
                drop(other);
            });
            b.success();
            drop(breaker);
            other.join().unwrap();
            assert_eq!(read("model"), 3);
        });
    }

    #[test]
    fn a_call_that_ends_with_its_breaker_does_not_count_for_the_next_one() {
        counting(|read| {
            let earlier = breaker("earlier");
            let (a, b) = (permit(&earlier), permit(&earlier));
            let other = spawn(move || {
                a.success();
                b.success();
            });
            drop(earlier); // its circuit goes back to the pool
            let next = breaker("next");
            permit(&next).success();
            other.join().unwrap();
            let _ = next.snapshot();
            assert_eq!(read("next"), 2);
        });
    }

    #[test]
    fn a_call_that_ends_with_its_breaker_counts_once_or_not_at_all() {
        counting(|read| {
            let breaker = breaker("model");
            let late = permit(&breaker);
            let other = spawn(move || late.success());
            permit(&breaker).success();
            drop(breaker);
            other.join().unwrap();
            assert!((2..=3).contains(&read("model")));
        });
    }
}
