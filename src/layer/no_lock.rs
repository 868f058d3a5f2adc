//! Calls that take no lock. The tests make them while another thread holds it.

use std::future::ready;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use tokio_test::{assert_ready, assert_ready_ok, task};
use tower::{Layer, Service, service_fn};

use crate::{CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, SlidingWindow};

/// Makes calls while the lock is held, and fails if they wait for it.
#[track_caller]
fn without_the_lock(breaker: &CircuitBreaker, calls: impl FnOnce(&CircuitBreaker) + Send) {
    let held = breaker.circuit().hold_lock();
    thread::scope(|scope| {
        let (done, is_done) = channel();
        scope.spawn(move || {
            calls(breaker);
            done.send(()).unwrap();
        });
        // This is much longer than the calls need. A call that waits for the lock waits for ever.
        let in_time = is_done.recv_timeout(Duration::from_secs(20));
        drop(held);
        assert!(in_time.is_ok(), "a call waited for the lock");
    });
}

fn succeed(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().success();
}

fn fail(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().failure();
}

fn alternate(breaker: &CircuitBreaker, calls: u32) {
    for _ in 0..calls / 2 {
        fail(breaker);
        succeed(breaker);
    }
}

fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("no lock").minimum_calls(10)
}

/// Creates settings with a rule for slow calls. There are no slow calls in these tests.
fn timed() -> CircuitBreakerBuilder {
    builder().slow_call_rate_threshold(0.5).slow_call_duration_threshold(Duration::from_secs(3600))
}

#[test]
fn a_call_that_is_abandoned_or_ignored_takes_no_lock() {
    let breaker = builder().build().unwrap();
    without_the_lock(&breaker, |breaker| {
        drop(breaker.try_acquire());
        breaker.try_acquire().unwrap().ignore();
    });
}

#[test]
fn a_success_takes_no_lock_without_a_window() {
    let breaker = builder().consecutive_failures(5).build().unwrap();
    without_the_lock(&breaker, succeed);
}

#[test]
fn a_call_takes_no_lock_within_a_quarter_of_the_time_after_which_it_hangs() {
    let hour = Duration::from_secs(3600);
    for builder in [
        builder().consecutive_failures(5).hung_after(hour),
        builder()
            .failure_rate_threshold(0.5)
            .sliding_window(SlidingWindow::time(hour))
            .hung_after(hour),
        timed().slow_in_flight(true).sliding_window(SlidingWindow::time(hour)),
    ] {
        let breaker = builder.build().unwrap();
        succeed(&breaker);
        without_the_lock(&breaker, |breaker| {
            (0..100).for_each(|_| succeed(breaker));
            breaker.try_acquire().unwrap().ignore();
        });
    }
}

#[test]
fn a_success_takes_no_lock_if_the_window_is_full_of_successes() {
    for builder in [builder(), timed()] {
        let builder = builder.failure_rate_threshold(0.5).sliding_window(SlidingWindow::count(10));
        let breaker = builder.build().unwrap();
        (0..11).for_each(|_| succeed(&breaker));
        without_the_lock(&breaker, |breaker| (0..100).for_each(|_| succeed(breaker)));
    }
}

#[test]
fn the_circuit_notices_that_successes_have_filled_the_window() {
    for builder in [builder(), timed()] {
        let builder = builder.failure_rate_threshold(0.5).sliding_window(SlidingWindow::count(10));
        let breaker = builder.build().unwrap();
        let is_known = || breaker.circuit().success_has_no_effect();
        (0..10).for_each(|_| succeed(&breaker));
        assert!(!is_known());
        succeed(&breaker);
        assert!(is_known());
    }
}

fn with_every_window() -> impl Iterator<Item = CircuitBreaker> {
    let hour = SlidingWindow::time(Duration::from_secs(36_000));
    [SlidingWindow::count(1000), hour].into_iter().flat_map(|window| {
        [builder(), timed()].map(|builder| {
            builder.failure_rate_threshold(0.9).sliding_window(window).build().unwrap()
        })
    })
}

#[test]
fn a_success_takes_no_lock_if_the_window_holds_a_few_failures() {
    for breaker in with_every_window() {
        (0..4).for_each(|_| fail(&breaker));
        (0..100).for_each(|_| succeed(&breaker));
        assert_eq!(breaker.snapshot().failures(), 4);
        without_the_lock(&breaker, |breaker| (0..100).for_each(|_| succeed(breaker)));
        assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (204, 4));
    }
}

#[test]
fn few_of_many_failures_take_the_lock_if_they_cannot_trip_the_circuit() {
    for breaker in with_every_window() {
        alternate(&breaker, 200);
        assert_eq!(breaker.snapshot().failures(), 100); // a snapshot takes the lock
        without_the_lock(&breaker, |breaker| alternate(breaker, 22));
        assert_eq!((breaker.snapshot().calls(), breaker.snapshot().failures()), (222, 111));
    }
}

#[test]
fn only_the_first_of_a_few_consecutive_failures_takes_the_lock() {
    let breaker = builder().consecutive_failures(5).build().unwrap();
    fail(&breaker);
    without_the_lock(&breaker, |breaker| (0..3).for_each(|_| fail(breaker)));
    assert_eq!(breaker.snapshot().consecutive_failures(), 4);
}

#[test]
fn failures_take_no_lock_while_forced_closed() {
    for breaker in with_every_window() {
        breaker.force_closed();
        fail(&breaker);
        without_the_lock(&breaker, |breaker| (0..20).for_each(|_| fail(breaker)));
        assert_eq!(breaker.snapshot().failures(), 21);
        breaker.force_closed_for(Duration::from_secs(3600));
        without_the_lock(&breaker, |breaker| (0..20).for_each(|_| fail(breaker)));
        assert_eq!(breaker.snapshot().failures(), 41);
    }
}

#[test]
fn a_service_takes_no_lock_to_become_ready_and_to_succeed() {
    let breaker = builder().consecutive_failures(5).build().unwrap();
    without_the_lock(&breaker, |breaker| {
        let inner = service_fn(|()| ready(Ok::<_, ()>(())));
        let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
        assert_ready_ok!(task::spawn(()).enter(|cx, _| service.poll_ready(cx)));
        assert_ready_ok!(task::spawn(service.call(())).poll());
    });
}

#[test]
fn acquire_takes_no_lock_while_closed() {
    let breaker = builder().build().unwrap();
    without_the_lock(&breaker, |breaker| {
        assert_ready!(task::spawn(breaker.acquire()).poll()).success();
    });
}

#[test]
fn a_rejection_takes_no_lock() {
    let breaker = builder().open_duration(Duration::from_secs(3600)).build().unwrap();
    breaker.trip();
    without_the_lock(&breaker, |breaker| assert!(breaker.try_acquire().is_err()));
    breaker.force_open();
    without_the_lock(&breaker, |breaker| assert!(breaker.try_acquire().is_err()));
    breaker.force_open_for(Duration::from_secs(3600));
    without_the_lock(&breaker, |breaker| assert!(breaker.try_acquire().is_err()));
}
