//! The reported events add up to what callers see, whatever they do.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tokio_test::task;
use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerError, CircuitBreakerLayer, Ending, Event,
    EventKind, HalfOpen, Interest, Listener, Permit, SlidingWindow, State,
};

/// A listener that counts events.
#[derive(Clone, Default)]
struct Sums(Arc<Counters>);

#[derive(Default)]
struct Counters {
    rejected: AtomicU64,
    probes: AtomicU64,
    /// Indexed by the ending.
    settled: [AtomicU64; 4],
    stale: AtomicU64,
    transitions: AtomicU64,
}

impl Listener for Sums {
    fn on_event(&self, event: &Event<'_>) {
        let Counters { rejected, probes, settled, stale, transitions } = &*self.0;
        let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match event.kind() {
            EventKind::Rejected(_) => add(rejected),
            EventKind::ProbeAdmitted => add(probes),
            EventKind::Transition(_) => add(transitions),
            EventKind::Settled(call) => {
                if call.is_stale() {
                    add(stale);
                }
                add(&settled[call.ending() as usize])
            }
            _ => 0,
        };
    }

    fn interest(&self) -> Interest {
        Interest::Calls
    }
}

/// Counts what the callers see.
#[derive(Default)]
struct Seen {
    rejected: AtomicU64,
    admitted: AtomicU64,
    by_ending: [AtomicU64; 4],
}

impl Seen {
    fn admitted(&self, ending: Ending) {
        self.admitted.fetch_add(1, Ordering::Relaxed);
        self.by_ending[ending as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[track_caller]
fn assert_they_add_up(sums: &Sums, seen: &Seen) {
    let (reported, seen_endings) = (sums.0.settled.each_ref(), seen.by_ending.each_ref());
    assert_eq!(reported.map(value), seen_endings.map(value));
    assert_eq!(reported.map(value).iter().sum::<u64>(), value(&seen.admitted));
    assert_eq!(value(&sums.0.rejected), value(&seen.rejected));
}

/// A sequence of pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// A circuit that trips and recovers all the time.
fn restless() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("sums")
        .consecutive_failures(4)
        .failure_rate_threshold(0.5)
        .sliding_window(SlidingWindow::count(20))
        .open_duration(Duration::from_micros(5))
        .half_open(HalfOpen::consecutive_successes(3))
        .probe_timeout(Duration::from_millis(2))
}

/// Makes and ends one call in one of many ways, or operates the circuit. Permits that are `kept` end later, mostly
/// in another period.
fn something(breaker: &CircuitBreaker, seen: &Seen, random: &mut Random, kept: &mut Vec<Permit>) {
    match random.below(200) {
        0 => breaker.trip(),
        1 => breaker.reset(),
        2 => breaker.force_open(),
        3 => breaker.force_closed(),
        4..10 => breaker.resume(),
        10..60 => one_service_call(breaker, seen, random),
        60..80 => {
            if let Some(permit) = kept.pop() {
                end(permit, seen, random);
            }
        }
        _ => match breaker.try_acquire() {
            Err(_) => seen.rejected(),
            Ok(permit) if random.below(8) == 0 => kept.push(permit),
            Ok(permit) => end(permit, seen, random),
        },
    }
}

fn end(permit: Permit, seen: &Seen, random: &mut Random) {
    match random.below(10) {
        0 => {
            permit.failure_retry_after(Duration::from_micros(1));
            seen.admitted(Ending::Failure);
        }
        1 | 2 => {
            permit.failure();
            seen.admitted(Ending::Failure);
        }
        3 => {
            permit.ignore();
            seen.admitted(Ending::Ignored);
        }
        4 => {
            drop(permit);
            seen.admitted(Ending::Abandoned);
        }
        5 => {
            let unwinding = catch_unwind(AssertUnwindSafe(|| {
                let _permit = permit;
                resume_unwind(Box::new("on purpose, and without a message"));
            }));
            assert!(unwinding.is_err());
            seen.admitted(Ending::Abandoned);
        }
        _ => {
            permit.success();
            seen.admitted(Ending::Success);
        }
    }
}

fn one_service_call(breaker: &CircuitBreaker, seen: &Seen, random: &mut Random) {
    let (how, fallback) = (random.below(6), random.below(2) == 0);
    let inner = service_fn(move |()| async move {
        match how {
            0 => Err(()),
            1 => resume_unwind(Box::new("on purpose, and without a message")),
            2 => std::future::pending().await,
            _ => Ok(()),
        }
    });
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let polled = if fallback {
        let layer =
            layer.fallback(|(), rejected| async { Err(CircuitBreakerError::from(rejected)) });
        let mut call = task::spawn(layer.layer(inner).oneshot(()));
        catch_unwind(AssertUnwindSafe(|| call.poll()))
    } else {
        let mut call = task::spawn(layer.layer(inner).oneshot(()));
        catch_unwind(AssertUnwindSafe(|| call.poll()))
    };
    match polled {
        Err(_panic) => seen.admitted(Ending::Failure),
        Ok(Poll::Pending) => seen.admitted(Ending::Abandoned),
        Ok(Poll::Ready(Ok(()))) => seen.admitted(Ending::Success),
        Ok(Poll::Ready(Err(CircuitBreakerError::Inner(())))) => seen.admitted(Ending::Failure),
        Ok(Poll::Ready(Err(CircuitBreakerError::Rejected(_)))) => seen.rejected(),
    }
}

#[test]
fn reported_events_add_up_after_a_hundred_thousand_calls_on_four_threads() {
    const THREADS: u64 = 4;
    let (sums, seen) = (Sums::default(), Seen::default());
    let breaker = restless().listener(sums.clone()).build().unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (breaker, seen) = (&breaker, &seen);
            scope.spawn(move || {
                let (mut random, mut kept) = (Random(thread), Vec::new());
                for _ in 0..100_000 / THREADS {
                    something(breaker, seen, &mut random, &mut kept);
                }
                kept.into_iter().for_each(|permit| end(permit, seen, &mut random));
            });
        }
    });
    assert_they_add_up(&sums, &seen);
    // Otherwise nothing was tested.
    let Counters { rejected, probes, stale, transitions, .. } = &*sums.0;
    for counter in [rejected, probes, stale, transitions] {
        assert!(value(counter) > 100, "{}", value(counter));
    }
}

#[test]
fn every_probe_is_reported_as_admitted_and_no_other_call_is() {
    let (sums, seen) = (Sums::default(), Seen::default());
    let breaker = restless().listener(sums.clone()).build().unwrap();
    let (mut random, mut kept, mut probes) = (Random(7), Vec::new(), 0);
    for _ in 0..100_000 {
        let (state, before) = (breaker.state(), value(&seen.admitted) + kept.len() as u64);
        something(&breaker, &seen, &mut random, &mut kept);
        let admitted = value(&seen.admitted) + kept.len() as u64 - before;
        // Without other threads, a call is a probe if the circuit was not closed before it.
        probes += if state == State::Closed { 0 } else { admitted };
    }
    kept.into_iter().for_each(|permit| end(permit, &seen, &mut random));
    assert_they_add_up(&sums, &seen);
    assert_eq!(value(&sums.0.probes), probes);
    assert!(probes > 100);
}

#[test]
fn every_probe_is_reported_when_threads_compete_for_them() {
    let (sums, admitted) = (Sums::default(), AtomicU64::new(0));
    let breaker = restless().probe_timeout(Duration::MAX).listener(sums.clone()).build().unwrap();
    breaker.trip();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..10_000 {
                    // The circuit never closes, so every call is a probe.
                    let Ok(probe) = breaker.try_acquire() else { continue };
                    admitted.fetch_add(1, Ordering::Relaxed);
                    if round % 2 == 0 { drop(probe) } else { probe.ignore() }
                }
            });
        }
    });
    assert_eq!(value(&sums.0.probes), value(&admitted));
    assert_eq!(value(&sums.0.rejected), 40_000 - value(&admitted));
    let settled = sums.0.settled.each_ref().map(value);
    assert_eq!(settled.iter().sum::<u64>(), value(&admitted));
}
