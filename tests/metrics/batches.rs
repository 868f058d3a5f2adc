//! Successes are counted in the circuit and published together. None is lost, and none counts for another breaker.

use std::sync::mpsc;
use std::thread;

use tokio::time::advance;
use tower_breaker::{Event, Interest, Listener};

use crate::*;

fn successes(exporter: &Exporter, breaker: &str) -> u64 {
    let labels = [("breaker", breaker), ("outcome", "success")];
    exporter.scrape().value(CALLS, &labels) as u64
}

fn succeed(breaker: &CircuitBreaker, times: u64) {
    (0..times).for_each(|_| permit(breaker).success());
}

#[test]
fn without_a_refresh_few_calls_show_at_once_and_of_many_nearly_all() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    let mut made = 0;
    for until in [1, 2, 100, 256, 1000, 1001, 50_000, 2_000_000] {
        succeed(&breaker, until - made);
        made = until;
        let hidden = made - successes(&exporter, "test");
        assert!(hidden <= (made / 256).min(4095), "{hidden} of {made}");
    }
    assert!(successes(&exporter, "test") < made, "all calls were published one by one");
}

#[test]
fn a_refresh_a_snapshot_a_transition_and_the_end_of_the_breaker_show_every_call() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    let mut made = 0;
    let mut shows_all = |show: &dyn Fn(&CircuitBreaker)| {
        succeed(&breaker, 10_007);
        made += 10_007;
        assert!(successes(&exporter, "test") < made);
        show(&breaker);
        assert_eq!(successes(&exporter, "test"), made);
    };
    shows_all(&|_| tower_breaker::metrics::refresh());
    shows_all(&|breaker| drop(breaker.snapshot()));
    shows_all(&CircuitBreaker::force_closed);
    shows_all(&CircuitBreaker::reset);
    shows_all(&|breaker| {
        permit(breaker).failure(); // no effect, because it is forced
        breaker.resume();
        permit(breaker).failure();
        breaker.reset();
    });
    succeed(&breaker, 10_007);
    drop(breaker);
    assert_eq!(successes(&exporter, "test"), made + 10_007);
}

#[test]
fn a_call_that_ends_after_its_breaker_counts_neither_for_it_nor_for_the_next_one() {
    let exporter = Exporter::new();
    let earlier = sensitive().build().unwrap();
    succeed(&earlier, 1000);
    let late: Vec<_> = (0..100).map(|_| permit(&earlier)).collect();
    drop(earlier);
    let next = CircuitBreaker::new("next"); // in the same circuit
    succeed(&next, 1000);
    late.into_iter().for_each(Permit::success);
    drop(next);
    assert_eq!(["test", "next"].map(|name| successes(&exporter, name)), [1000, 1000]);
}

/// Threads that call a breaker, drop their handle and end one more call, while the next breaker begins in the same
/// circuit.
#[test]
fn whatever_circuits_are_used_for_next_each_call_counts_for_its_own_breaker() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 300;
    const CALLS_EACH: u64 = 1000;
    let exporter = Exporter::new();
    thread::scope(|scope| {
        let threads = (0..THREADS).map(|_| {
            let (give, breakers) = mpsc::sync_channel::<CircuitBreaker>(0);
            scope.spawn(move || {
                for breaker in breakers {
                    succeed(&breaker, CALLS_EACH);
                    let late = permit(&breaker);
                    drop(breaker);
                    late.success(); // the breaker may still be there, because another thread has a handle
                }
            });
            give
        });
        let threads: Vec<_> = threads.collect();
        for round in 0..ROUNDS {
            let breaker = CircuitBreaker::new(format!("{round}"));
            threads.iter().for_each(|thread| thread.send(breaker.clone()).unwrap());
        }
    });
    let scrape = exporter.scrape();
    for round in 0..ROUNDS {
        let labels = [("breaker", &*format!("{round}")), ("outcome", "success")];
        let counted = scrape.value(CALLS, &labels) as u64;
        let sure = THREADS * CALLS_EACH;
        assert!((sure..=sure + THREADS).contains(&counted), "{counted} in round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_and_late_successes_are_counted_as_such_among_the_others() {
    let exporter = Exporter::new();
    let breaker = sensitive().slow_call_duration_threshold(SECOND).build().unwrap();
    for _ in 0..10 {
        succeed(&breaker, 1000);
        let slow = permit(&breaker);
        advance(SECOND).await;
        slow.success();
    }
    let late: Vec<_> = (0..10).map(|_| permit(&breaker)).collect();
    breaker.trip();
    late.into_iter().for_each(Permit::success);
    let scrape = exporter.scrape();
    assert_eq!(scrape.value(SLOW_CALLS, &of_test(&[])), 10.0);
    assert_eq!(scrape.value(STALE_RESULTS, &of_test(&[])), 10.0);
    assert_eq!(successes(&exporter, "test"), 10_020);
}

#[test]
fn a_listener_of_calls_receives_each_of_them_and_the_metrics_show_them_at_once() {
    struct Ears(mpsc::Sender<()>);
    impl Listener for Ears {
        fn on_event(&self, _: &Event<'_>) {
            self.0.send(()).unwrap();
        }

        fn interest(&self) -> Interest {
            Interest::Calls
        }
    }
    let exporter = Exporter::new();
    let (heard, calls) = mpsc::channel();
    let breaker = sensitive().listener(Ears(heard)).build().unwrap();
    succeed(&breaker, 10_007);
    assert_eq!(calls.try_iter().count(), 10_007);
    assert_eq!(successes(&exporter, "test"), 10_007);
}

#[cfg(feature = "keyed")]
#[test]
fn the_calls_of_all_keys_are_counted_together_also_of_those_that_are_removed() {
    use tower_breaker::keyed::CircuitBreakerRegistry;
    let exporter = Exporter::new();
    let circuits = CircuitBreakerRegistry::<u64>::builder(sensitive()).build().unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let circuits = &circuits;
            scope.spawn(move || {
                for key in 0..10 {
                    let call = || circuits.try_acquire(&(key + thread % 2)).unwrap().success();
                    (0..1000).for_each(|_| call());
                }
            });
        }
    });
    circuits.remove(&3);
    circuits.remove(&4);
    tower_breaker::metrics::refresh();
    assert_eq!(successes(&exporter, "test"), 40_000);
}
