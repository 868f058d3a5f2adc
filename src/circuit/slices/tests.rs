//! Tests of single collectors. `tests/loom.rs` tests how they work together.

use super::*;

const MAX_COUNTED: u64 = Effect::MAX_COUNTED;
const MAX_LOGGED: u64 = Effect::MAX_LOGGED;

fn counter(number: u64) -> Collector {
    let counter = Collector::default();
    counter.begin(number, 0);
    counter
}

fn log(number: u64) -> Collector {
    let log = Collector::default();
    log.begin(number, Results::EMPTY);
    log
}

fn results(log: &Collector, next: u64) -> Results {
    Results::from_bits(log.end(next, Results::EMPTY))
}

#[test]
fn a_success_is_counted_in_the_current_slice_only() {
    let counter = counter(1);
    assert!(counter.count(1, MAX_COUNTED));
    assert!(!counter.count(2, MAX_COUNTED));
    assert_eq!(counter.end(2, 0), 1);
    assert!(!counter.count(1, MAX_COUNTED));
    counter.begin(2, 0);
    assert!(!counter.count(1, MAX_COUNTED));
    assert!(counter.count(2, MAX_COUNTED));
    assert!(counter.count(2, MAX_COUNTED));
    assert_eq!(counter.end(9, 0), 2);
}

#[test]
fn a_result_is_appended_in_the_current_slice_only() {
    let log = log(1);
    assert!(!log.append(2, MAX_LOGGED, true));
    assert!(log.append(1, MAX_LOGGED, true));
    assert_eq!(results(&log, 2).len(), 1);
    assert!(!log.append(1, MAX_LOGGED, true));
    log.begin(2, Results::EMPTY);
    assert!(!log.append(1, MAX_LOGGED, true));
    assert!(log.append(2, MAX_LOGGED, false));
    assert_eq!(results(&log, 2).len(), 1);
}

#[test]
fn an_old_slice_is_not_mistaken_for_one_that_is_many_slices_later() {
    for bit in 0..u64::BITS - NUMBER_SHIFT {
        assert!(!counter(1 << bit).count(0, MAX_COUNTED), "numbers wrap at bit {bit}");
        assert!(!log(1 << bit).append(0, MAX_LOGGED, true), "numbers wrap at bit {bit}");
    }
}

#[test]
fn a_counter_counts_up_to_its_capacity() {
    let counter = counter(1);
    assert!(counter.count(1, 2));
    assert!(counter.count(1, 2));
    assert!(!counter.count(1, 2));
    assert_eq!(counter.end(9, 0), 2);
}

#[test]
fn a_full_counter_does_not_spill_into_the_number_of_the_slice() {
    let counter = counter(7);
    counter.0.store((7 << NUMBER_SHIFT) | (RESULTS - 1), Ordering::Relaxed);
    assert!(counter.count(7, MAX_COUNTED));
    assert!(!counter.count(7, MAX_COUNTED));
    assert!(!counter.count(8, MAX_COUNTED));
    assert_eq!(counter.end(9, 0), RESULTS);
}

#[test]
fn a_log_keeps_results_in_their_order() {
    let all: Vec<bool> = (0..MAX_LOGGED).map(|n| n % 3 == 1).collect();
    for appended in [&all[..], &all[..4], &all[..1], &[]] {
        let log = log(1);
        assert!(appended.iter().all(|failed| log.append(1, MAX_LOGGED, *failed)));
        let kept = results(&log, 2);
        assert_eq!(kept, Results::of(appended));
        let kept = (0..kept.len()).map(|n| kept.oldest_first() >> n & 1 == 1);
        assert_eq!(kept.collect::<Vec<_>>(), appended);
    }
}

#[test]
fn a_log_keeps_up_to_its_capacity() {
    for capacity in 0..=MAX_LOGGED {
        let log = log(1);
        (0..capacity).for_each(|_| assert!(log.append(1, capacity, true)));
        assert!(!log.append(1, capacity, true));
        assert_eq!(u64::from(results(&log, 2).streak()), capacity);
    }
}

#[test]
fn the_successes_of_all_threads_are_collected() {
    let slices = Slices::new();
    let counted = Effect::Counted { until: NEVER, capacity: MAX_COUNTED };
    slices.begin(counted, || {});
    std::thread::scope(|scope| {
        for _ in 0..40 {
            let stripe = || slices.own_stripe(OwnStripe::get());
            scope.spawn(move || assert!(stripe().successes.count(1, MAX_COUNTED)));
        }
    });
    let Collected::Successes(40) = slices.end(StatusWord(StatusWord::COUNTED)) else {
        panic!("all are collected");
    };
}
