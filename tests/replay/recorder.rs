//! Recording real breakers.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use allocation_counter::measure;
use proptest::prelude::*;
use tokio::time::advance;
use tower_breaker::replay::{Call, Recorder, Trace};
use tower_breaker::{CircuitBreaker, Ending};

use crate::draw::{settings, trace};
use crate::equivalence::{make_with, on_a_paused_clock};
use crate::{cases, ms, secs};

#[tokio::test(start_paused = true)]
async fn a_recorder_records_when_a_call_began_and_how_it_ended() {
    advance(secs(1)).await;
    let (recorder, trace) = Recorder::new(10);
    let breaker = CircuitBreaker::builder("payments")
        .consecutive_failures(2)
        .listener(recorder)
        .build()
        .unwrap();

    advance(ms(5)).await;
    let permit = breaker.try_acquire().unwrap();
    advance(ms(20)).await;
    permit.success();
    breaker.try_acquire().unwrap().failure();
    breaker.try_acquire().unwrap().failure_retry_after(secs(3));
    breaker.try_acquire().unwrap_err();

    let call = |at, ending, duration| Call::new(at, ending, duration).with_key("payments");
    let zero = Duration::ZERO;
    let failed = call(ms(25), Ending::Failure, zero);
    assert_eq!(
        *trace.calls(),
        [
            call(ms(5), Ending::Success, ms(20)),
            failed.clone(),
            failed.with_retry_after(secs(3)),
            Call::rejected(ms(25)).with_key("payments"),
        ]
    );
    assert_eq!(trace.dropped(), 0);
}

#[test]
fn a_recorder_and_its_clones_fill_one_trace() {
    let (recorder, trace) = Recorder::new(3);
    for name in ["payments", "search"] {
        let breaker = CircuitBreaker::builder(name).listener(recorder.clone()).build().unwrap();
        breaker.try_acquire().unwrap().success();
    }
    let keys: Vec<_> = trace.calls().iter().map(|call| call.key.clone()).collect();
    assert_eq!(keys, ["payments".into(), "search".into()]);
}

#[test]
fn a_server_that_asks_for_centuries_is_recorded_as_asking_for_20_years() {
    let (recorder, trace) = Recorder::new(2);
    let breaker = CircuitBreaker::builder("payments").listener(recorder).build().unwrap();
    for wait in [Duration::MAX, secs(30 * 365 * 24 * 3600)] {
        breaker.try_acquire().unwrap().failure_retry_after(wait);
    }
    for call in trace.calls().iter() {
        assert_eq!(call.retry_after, Some(secs(20 * 365 * 24 * 3600)));
    }
}

#[test]
fn what_a_recorder_has_no_room_for_is_counted() {
    let (recorder, trace) = Recorder::new(3);
    let breaker = CircuitBreaker::builder("payments").listener(recorder).build().unwrap();
    for _ in 0..5 {
        breaker.try_acquire().unwrap().success();
    }
    assert_eq!((trace.calls().len(), trace.dropped()), (3, 2));
}

#[test]
fn a_recorder_has_room_for_256_names_and_counts_the_calls_of_others() {
    let (recorder, trace) = Recorder::new(1000);
    for i in 0..300 {
        let listener = recorder.clone();
        let name = format!("breaker {i}");
        let breaker = CircuitBreaker::builder(name).listener(listener).build().unwrap();
        breaker.try_acquire().unwrap().success();
    }
    let calls = trace.calls();
    assert_eq!((calls.len(), trace.dropped()), (256, 44));
    let names: std::collections::BTreeSet<_> = calls.iter().map(|call| &call.key).collect();
    assert_eq!(names.len(), 256);
    assert!(names.iter().all(|name| name.starts_with("breaker ")), "{names:?}");
}

#[test]
fn a_name_that_is_too_long_is_not_recorded_and_others_still_are() {
    let (recorder, trace) = Recorder::new(10);
    for name in ["a".repeat(40_000), "b".repeat(30_000), "c".repeat(30_000), String::new()] {
        let listener = recorder.clone();
        let breaker = CircuitBreaker::builder(name).listener(listener).build().unwrap();
        breaker.try_acquire().unwrap().success();
    }
    let calls = trace.calls();
    let lengths: Vec<usize> = calls.iter().map(|call| call.key.len()).collect();
    assert_eq!((lengths, trace.dropped()), (vec![30_000, 0], 2));
}

#[test]
fn recording_allocates_nothing() {
    let (recorder, trace) = Recorder::new(10);
    let breaker = CircuitBreaker::builder("payments").listener(recorder).build().unwrap();
    let allocated = measure(|| {
        for _ in 0..20 {
            breaker.try_acquire().unwrap().success();
        }
    });
    assert_eq!(allocated.count_total, 0);
    assert_eq!((trace.calls().len(), trace.dropped()), (10, 10));
}

#[test]
fn threads_lose_no_call_and_mix_none_up() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 500;
    let (recorder, trace) = Recorder::new((THREADS * CALLS) as usize);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let recorder = recorder.clone();
            scope.spawn(move || {
                for i in 0..CALLS {
                    // Two threads share each name.
                    let name = format!("{} {}", thread % 2, i % 50);
                    let breaker = CircuitBreaker::builder(name)
                        .no_trip_rules()
                        .listener(recorder.clone())
                        .build()
                        .unwrap();
                    let permit = breaker.try_acquire().unwrap();
                    permit.failure_retry_after(secs(thread % 2 + 1));
                }
            });
        }
    });
    let calls = trace.calls();
    assert_eq!((calls.len() as u64, trace.dropped()), (THREADS * CALLS, 0));
    for call in calls.iter() {
        let (thread, _) = call.key.split_once(' ').unwrap();
        assert_eq!(call.retry_after, Some(secs(thread.parse::<u64>().unwrap() + 1)), "{call:?}");
    }
}

#[test]
fn threads_that_meet_a_new_name_together_store_it_once() {
    const THREADS: usize = 4;
    for round in 0..300 {
        let (recorder, trace) = Recorder::new(THREADS);
        let name = format!("round {round}");
        let breakers: Vec<CircuitBreaker> = (0..THREADS)
            .map(|_| {
                let listener = recorder.clone();
                CircuitBreaker::builder(name.as_str()).listener(listener).build().unwrap()
            })
            .collect();
        let barrier = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for breaker in &breakers {
                scope.spawn(|| {
                    barrier.wait();
                    breaker.try_acquire().unwrap().success();
                });
            }
        });
        let calls = trace.calls();
        assert_eq!((calls.len(), trace.dropped()), (THREADS, 0));
        assert!(calls.iter().all(|call| *call.key == *name), "{calls:?}");
        // One place holds the name: all calls share its text.
        assert!(calls.iter().all(|call| Arc::ptr_eq(&call.key, &calls[0].key)));
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_trace_of_a_breaker_in_shadow_mode_has_every_call_that_was_made(
        trace in trace(),
        settings in settings(),
    ) {
        // A call of unknown end cannot be made, and one that was abandoned late is recorded as a failure.
        let is_known = |call: &&Call| !matches!(call.ending, None | Some(Ending::Abandoned));
        let known: Trace = trace.calls().iter().filter(is_known).cloned().collect();
        let recorded = on_a_paused_clock(async {
            let (recorder, trace) = Recorder::new(1000);
            let with = move |_: &str, builder: tower_breaker::CircuitBreakerBuilder| {
                builder.enforcement(0.0).listener(recorder.clone())
            };
            make_with(&settings, &known, with).await;
            trace
        });
        prop_assert_eq!(sorted(&recorded), sorted(&known));
    }
}

/// Calls that began at the same time are recorded in the order in which they ended.
fn sorted(trace: &Trace) -> Vec<Call> {
    let mut calls = trace.calls().into_owned();
    calls.sort_by_key(|call| {
        let ending = call.ending.map(Ending::name);
        (call.at, call.key.clone(), call.duration, ending, call.retry_after)
    });
    calls
}
