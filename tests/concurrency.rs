//! What must hold for every interleaving of threads, tried with real threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, Event, EventKind, HalfOpen,
    Interest, Listener, SlidingWindow, State, Transition,
};

/// Creates a circuit that is open and whose next call is a probe.
fn about_to_probe(rule: HalfOpen) -> CircuitBreaker {
    let breaker = CircuitBreaker::builder("contended")
        .failure_rate_threshold(1.0)
        .open_duration(Duration::from_nanos(1))
        .half_open(rule)
        .build()
        .unwrap();
    breaker.trip();
    breaker
}

#[test]
fn when_the_wait_ends_a_thousand_callers_get_exactly_the_permitted_probes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    for round in 0..200 {
        let permitted = 1 + round % 7;
        let breaker = about_to_probe(HalfOpen::consecutive_successes(permitted));
        // Has one permit for each call that was rejected or has reached the inner service.
        let decided = Arc::new(Semaphore::new(0));
        let reached = Arc::new(AtomicU64::new(0));
        let release = Arc::new(Semaphore::new(0));
        let inner = {
            let (decided, reached, release) = (decided.clone(), reached.clone(), release.clone());
            service_fn(move |()| {
                reached.fetch_add(1, Ordering::SeqCst);
                decided.add_permits(1);
                let release = release.clone();
                async move { release.acquire().await.map(drop) }
            })
        };
        let service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
        runtime.block_on(async {
            for _ in 0..1000 {
                let (service, decided) = (service.clone(), decided.clone());
                tokio::spawn(async move {
                    if service.oneshot(()).await.is_err() {
                        decided.add_permits(1);
                    }
                });
            }
            let _all = decided.acquire_many(1000).await.unwrap();
            assert_eq!(reached.load(Ordering::SeqCst), u64::from(permitted));
            assert_eq!(breaker.state(), State::HalfOpen);
            release.add_permits(1000);
            while breaker.state() != State::Closed {
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Runs `action` on several threads at the same time.
fn on_threads(threads: u64, action: impl Fn(u64) + Sync) {
    let start = Barrier::new(threads as usize);
    thread::scope(|scope| {
        for thread in 0..threads {
            let (start, action) = (&start, &action);
            scope.spawn(move || {
                start.wait();
                action(thread);
            });
        }
    });
}

fn every_kind_of_window() -> Vec<CircuitBreakerBuilder> {
    let builder = || CircuitBreaker::builder("counted").failure_rate_threshold(1.0);
    vec![
        builder().sliding_window(SlidingWindow::count(1_000_000)),
        builder().sliding_window(SlidingWindow::time(Duration::from_secs(3600))),
        builder().sliding_window(SlidingWindow::time(Duration::from_secs(3600)).buckets(3_600_000)),
        builder()
            .slow_call_duration_threshold(Duration::from_secs(3600))
            .slow_call_rate_threshold(1.0),
    ]
}

#[test]
fn no_result_is_lost_or_counted_twice() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 50_000;
    for builder in every_kind_of_window() {
        for failing_every in [2, 100, 100_000] {
            let breaker = builder.clone().build().unwrap();
            on_threads(THREADS, |_| {
                for call in 1..=CALLS {
                    let permit = breaker.try_acquire().unwrap();
                    if call % failing_every == 0 { permit.failure() } else { permit.success() }
                }
            });
            let snapshot = breaker.snapshot();
            assert_eq!(snapshot.calls(), THREADS * CALLS);
            assert_eq!(snapshot.failures(), THREADS * (CALLS / failing_every));
        }
    }
}

#[test]
fn successes_of_an_earlier_period_do_not_end_a_failure_streak() {
    for _ in 0..200 {
        let breaker = CircuitBreaker::builder("streak").consecutive_failures(1000).build().unwrap();
        let stale: Vec<_> = (0..1000).map(|_| breaker.try_acquire().unwrap()).collect();
        breaker.reset();
        let stale = Mutex::new(stale);
        on_threads(2, |thread| {
            if thread == 0 {
                stale.lock().unwrap().drain(..).for_each(|permit| permit.success());
            } else {
                (0..999).for_each(|_| breaker.try_acquire().unwrap().failure());
            }
        });
        assert_eq!(breaker.snapshot().consecutive_failures(), 999);
    }
}

#[test]
fn successes_of_an_earlier_period_are_not_counted_however_close_the_reset() {
    let breaker = CircuitBreaker::builder("time").failure_rate_threshold(1.0).build().unwrap();
    for _ in 0..2000 {
        let permits =
            Mutex::new((0..20).map(|_| breaker.try_acquire().unwrap()).collect::<Vec<_>>());
        let counted = AtomicU64::new(0);
        on_threads(2, |thread| {
            if thread == 0 {
                let permits = std::mem::take(&mut *permits.lock().unwrap());
                permits.into_iter().for_each(|permit| permit.success());
            } else {
                breaker.reset();
                // The reset has forgotten earlier results, and later ones belong to the old period.
                counted.store(breaker.snapshot().calls(), Ordering::SeqCst);
            }
        });
        assert_eq!(counted.load(Ordering::SeqCst), 0);
        assert_eq!(breaker.snapshot().calls(), 0);
    }
}

#[test]
fn there_are_never_more_probes_in_flight_than_permitted() {
    const PERMITTED: u64 = 3;
    let rule = HalfOpen::consecutive_successes(PERMITTED as u32);
    let breaker = about_to_probe(rule);
    let (in_flight, most, probes) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    on_threads(4, |thread| {
        for round in 0..20_000 {
            let Ok(permit) = breaker.try_acquire() else { continue };
            // The circuit is never closed in this test, so every permit belongs to a probe.
            most.fetch_max(in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            probes.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            // This comes before the breaker learns that the probe has ended, so that the count is never too low.
            in_flight.fetch_sub(1, Ordering::SeqCst);
            if (round + thread) % 2 == 0 { permit.ignore() } else { drop(permit) }
        }
    });
    assert!(probes.load(Ordering::SeqCst) > 0);
    assert!(most.load(Ordering::SeqCst) <= PERMITTED);
    assert_eq!(breaker.state(), State::HalfOpen);
}

/// Keeps the transitions, and `None` where some were dropped because they came too fast.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<Option<Transition>>>>);

impl Listener for Received {
    fn on_event(&self, event: &Event<'_>) {
        match event.kind() {
            EventKind::Transition(transition) => {
                self.0.lock().unwrap().push(Some(transition.clone()));
            }
            EventKind::Lagged { .. } => self.0.lock().unwrap().push(None),
            _ => {}
        }
    }

    fn interest(&self) -> Interest {
        Interest::Transitions
    }
}

#[test]
fn each_transition_starts_in_the_state_in_which_the_last_one_ended() {
    let received = Received::default();
    let breaker = CircuitBreaker::builder("transitions")
        .consecutive_failures(3)
        .open_duration(Duration::from_nanos(1))
        .half_open(HalfOpen::consecutive_successes(1))
        .listener(received.clone())
        .build()
        .unwrap();
    on_threads(4, |thread| {
        for round in 0..2_000_u64 {
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
                }
            }
        }
    });
    let mut state = Some(State::Closed);
    for received in received.0.lock().unwrap().iter() {
        if let (Some(transition), Some(state)) = (received, state) {
            assert_eq!(transition.from(), state, "{transition}");
        }
        state = received.as_ref().map(Transition::to);
    }
    assert_eq!(state, Some(breaker.state()), "the newest transition is never dropped");
}
