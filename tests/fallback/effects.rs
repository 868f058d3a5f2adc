//! What a fallback does has no effect on the circuit.

use std::cell::Cell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use tokio_test::{assert_pending, assert_ready_eq, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, EventKind, Rejected, SlidingWindow, State,
};

use crate::{Asked, Error, Order, SECOND, breaker, layer, order, sensitive, shop};

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_fallback_is_not_counted() {
    let breaker = sensitive()
        .failure_rate_threshold(1.0)
        .sliding_window(SlidingWindow::count(10))
        .build()
        .unwrap();
    let service = layer(&breaker)
        .fallback(|_: Order, _: Rejected| async { Err(CircuitBreakerError::Inner("worse")) })
        .layer(service_fn(shop));
    breaker.trip();
    let before = breaker.snapshot();
    for _ in 0..10 {
        service.clone().oneshot(order("tea")).await.unwrap_err();
    }
    assert_eq!(breaker.snapshot(), before);
    tokio::time::advance(SECOND).await;
    let probe = breaker.try_acquire().unwrap();
    let before = breaker.snapshot();
    service.clone().oneshot(order("tea")).await.unwrap_err();
    assert_eq!(breaker.snapshot(), before);
    probe.success();
    assert_eq!((breaker.state(), breaker.snapshot().calls()), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_hangs_is_neither_slow_nor_a_probe_that_times_out() {
    let breaker = sensitive()
        .slow_call_duration_threshold(SECOND)
        .slow_call_rate_threshold(0.1)
        .abandoned_after(SECOND)
        .probe_timeout(SECOND)
        .build()
        .unwrap();
    let service = layer(&breaker)
        .fallback(|_: Order, _: Rejected| pending::<Result<String, Error>>())
        .layer(service_fn(shop));
    breaker.trip();
    let mut hangs = task::spawn(service.oneshot(order("tea")));
    assert_pending!(hangs.poll());
    tokio::time::advance(SECOND).await;
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
    tokio::time::advance(100 * SECOND).await;
    drop(hangs);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().consecutive_failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_fallback_unwinds_to_its_caller_and_has_no_effect_on_the_circuit() {
    let breaker = breaker();
    let mut service = layer(&breaker)
        .fallback(|Order(what): Order, _: Rejected| {
            assert_ne!(what, "panic at once");
            async move {
                assert_ne!(what, "panic later");
                Ok("instead".into())
            }
        })
        .layer(service_fn(shop));
    breaker.trip();
    let before = breaker.snapshot();

    service.ready().await.unwrap();
    let at_once = catch_unwind(AssertUnwindSafe(|| service.call(order("panic at once"))));
    assert!(at_once.is_err());
    let mut later = task::spawn(service.ready().await.unwrap().call(order("panic later")));
    assert!(catch_unwind(AssertUnwindSafe(|| later.poll())).is_err());
    drop(later);

    assert_eq!(breaker.snapshot(), before);
    let answer = service.ready().await.unwrap().call(order("tea")).await;
    assert_eq!(answer, Ok("instead".into()));
    breaker.reset();
    assert_eq!(service.oneshot(order("tea")).await, Ok("the shop's tea".into()));
}

/// Records that it was dropped.
struct Dropped(Rc<Cell<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_response_future_drops_the_future_of_the_fallback() {
    for polls in 0..2 {
        let (breaker, gone) = (breaker(), Rc::new(Cell::new(false)));
        let dropped = gone.clone();
        let mut service = layer(&breaker)
            .fallback(move |_: Order, _: Rejected| {
                let kept = Dropped(dropped.clone());
                async move {
                    pending::<()>().await;
                    drop(kept);
                    Ok(String::new())
                }
            })
            .layer(service_fn(shop));
        breaker.trip();
        let before = breaker.snapshot();
        let mut answer = task::spawn(service.ready().await.unwrap().call(order("tea")));
        (0..polls).for_each(|_| assert_pending!(answer.poll()));
        assert!(!gone.get());
        drop(answer);
        assert!(gone.get());
        assert_eq!(breaker.snapshot(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn the_future_of_a_fallback_is_polled_only_by_the_caller() {
    let (breaker, polls) = (breaker(), Rc::new(Cell::new(0)));
    let counted = polls.clone();
    let mut service = layer(&breaker)
        .fallback(move |_: Order, _: Rejected| {
            let (counted, mut left) = (counted.clone(), 2);
            std::future::poll_fn(move |_| {
                counted.set(counted.get() + 1);
                left -= 1;
                if left == 0 { Poll::Ready(Ok("instead".to_owned())) } else { Poll::Pending }
            })
        })
        .layer(service_fn(shop));
    breaker.trip();
    let mut answer = task::spawn(service.ready().await.unwrap().call(order("tea")));
    tokio::time::advance(5 * SECOND).await;
    breaker.reset();
    assert_eq!(polls.get(), 0);
    assert_pending!(answer.poll());
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(polls.get(), 1);
    assert_ready_eq!(answer.poll(), Ok("instead".to_owned()));
    assert_eq!(polls.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_may_use_the_breaker() {
    let breaker = breaker();
    let used = breaker.clone();
    let service = layer(&breaker)
        .fallback(move |_: Order, _: Rejected| {
            let use_it = |breaker: &CircuitBreaker| {
                let _ = (breaker.snapshot(), breaker.history());
                drop(breaker.try_acquire());
                breaker.force_open();
                breaker.resume();
                breaker.reset();
            };
            use_it(&used);
            let used = used.clone();
            async move {
                use_it(&used);
                Ok(String::new())
            }
        })
        .layer(service_fn(shop));
    breaker.trip();
    service.oneshot(order("tea")).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn listeners_are_notified_of_a_rejection_even_if_a_fallback_answers_it() {
    let notified = Arc::new(AtomicU32::new(0));
    let count = notified.clone();
    let breaker = sensitive()
        .on_event(move |event| {
            if let EventKind::Rejected(_) = event.kind() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
        .unwrap();
    breaker.trip();
    let service = layer(&breaker).fallback(Asked::default()).layer(service_fn(shop));
    service.oneshot(order("tea")).await.unwrap();
    assert_eq!(notified.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_needs_readiness_with_a_fallback_too() {
    let breaker = breaker();
    breaker.trip();
    let asked = Asked::default();
    let mut service = layer(&breaker).fallback(asked.clone()).layer(service_fn(shop));
    assert!(catch_unwind(AssertUnwindSafe(|| service.call(order("tea")))).is_err());
    assert_eq!(asked.times(), 0);
}
