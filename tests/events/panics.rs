//! User code may panic when it is called, woken or dropped. The call goes on all the same, and the next event is
//! reported.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use tokio_test::{assert_pending, assert_ready, task};
use tower_breaker::{CircuitBreaker, Event, State};

use crate::{Log, observed, sensitive};

/// Panics when it is dropped, and counts the drops.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose, when it is dropped");
    }
}

/// A waker that panics when it is dropped, and perhaps also when it is woken.
struct Panics {
    when_woken: bool,
    _when_dropped: Bomb,
}

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        if self.when_woken {
            panic!("on purpose, when it is woken");
        }
    }
}

/// Gives a waker of either kind to `keep`, so that the last reference to it is dropped elsewhere. Returns a
/// counter of the drops.
fn with_bad_wakers(mut keep: impl FnMut(&mut Context<'_>)) -> Arc<AtomicUsize> {
    let dropped = Arc::new(AtomicUsize::new(0));
    for when_woken in [false, true] {
        let panics = Panics { when_woken, _when_dropped: Bomb(dropped.clone()) };
        keep(&mut Context::from_waker(&Waker::from(Arc::new(panics))));
    }
    dropped
}

#[track_caller]
fn assert_the_next_event_is_reported(breaker: &CircuitBreaker, log: &Log) {
    breaker.reset();
    log.take();
    breaker.trip();
    assert_eq!(log.transitions().len(), 1);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_subscribers_waker_that_panics_when_it_is_woken_or_dropped_silences_nobody() {
    let (breaker, log) = observed(sensitive());
    let mut bad = [breaker.subscribe(), breaker.subscribe()].map(|s| {
        Box::pin(async {
            let mut subscriber = s;
            subscriber.next().await
        })
    });
    let mut polled = bad.iter_mut();
    let dropped = with_bad_wakers(|cx| assert_pending!(polled.next().unwrap().as_mut().poll(cx)));
    let mut good = breaker.subscribe();
    let mut good = task::spawn(good.next());
    assert_pending!(good.poll());

    breaker.trip();

    assert_eq!(dropped.load(Ordering::Relaxed), 2);
    assert!(good.is_woken());
    assert_ready!(good.poll());
    assert_eq!(log.transitions().len(), 1);
    assert_the_next_event_is_reported(&breaker, &log);
}

#[tokio::test(start_paused = true)]
async fn a_subscribers_waker_that_panics_when_its_breaker_is_dropped_fails_nobody() {
    let breaker = sensitive().build().unwrap();
    let mut bad = [breaker.subscribe(), breaker.subscribe()];
    let mut bad = bad.each_mut().map(|subscriber| Box::pin(subscriber.next()));
    let mut polled = bad.iter_mut();
    let dropped = with_bad_wakers(|cx| assert_pending!(polled.next().unwrap().as_mut().poll(cx)));
    drop(breaker);
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_callers_waker_that_panics_when_it_is_woken_or_dropped_silences_nobody() {
    let (breaker, log) = observed(sensitive());
    breaker.force_open();
    let mut bad = [(); 2].map(|()| Box::pin(breaker.acquire()));
    let mut polled = bad.iter_mut();
    let dropped = with_bad_wakers(|cx| {
        assert!(polled.next().unwrap().as_mut().poll(cx).is_pending());
    });
    let mut good = task::spawn(breaker.acquire());
    assert!(good.poll().is_pending());
    log.take();

    breaker.force_closed();

    assert_eq!(dropped.load(Ordering::Relaxed), 2);
    assert!(good.is_woken());
    assert_eq!(log.transitions().len(), 1);
    breaker.resume();
    assert_the_next_event_is_reported(&breaker, &log);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_callers_waker_that_panics_fails_neither_its_next_poll_nor_its_drop() {
    let (breaker, _log) = observed(sensitive());
    breaker.force_open();
    let mut acquire = pin!(Some(Box::pin(breaker.acquire())));
    let dropped = with_bad_wakers(|cx| {
        assert!(acquire.as_mut().as_pin_mut().unwrap().as_mut().poll(cx).is_pending());
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "replaced by the second one");
    acquire.set(None);
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn listeners_that_panic_when_they_are_dropped_do_not_fail_whoever_drops_the_last_handle() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let bomb = || {
        let bomb = Bomb(dropped.clone());
        move |_: &Event<'_>| assert!(bomb.0.load(Ordering::Relaxed) < 2)
    };
    let breaker = sensitive().on_event(bomb()).on_event(bomb()).build().unwrap();
    breaker.trip();
    drop(breaker);
    assert_eq!(dropped.load(Ordering::Relaxed), 2);

    let (breaker, log) = observed(sensitive());
    assert_the_next_event_is_reported(&breaker, &log);
}
