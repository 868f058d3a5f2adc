//! The settings of a live circuit change.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_test::{assert_pending, assert_ready_ok};
use tower::Layer;
use tower_breaker::{
    Backoff, Cause, CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, EventKind,
    HalfOpen, Reconfigured, SlidingWindow, State,
};

use crate::backend::{backend, task};
use crate::{MS, SECOND, advance, permit, sensitive, until_half_open};

fn rate() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test").failure_rate_threshold(1.0).minimum_calls(100)
}

fn in_window(calls: u32) -> CircuitBreakerBuilder {
    rate().sliding_window(SlidingWindow::count(calls))
}

fn counts(breaker: &CircuitBreaker) -> (u64, u64) {
    (breaker.snapshot().calls(), breaker.snapshot().failures())
}

/// Listens to everything that no call causes.
fn told() -> (CircuitBreakerBuilder, Arc<Mutex<Vec<String>>>) {
    let told = Arc::<Mutex<Vec<String>>>::default();
    let to = told.clone();
    let builder = sensitive().on_event(move |event| match event.kind() {
        EventKind::Reconfigured(_) | EventKind::Transition(_) => {
            to.lock().unwrap().push(event.to_string());
        }
        _ => {}
    });
    (builder, told)
}

// ---- all or nothing -------------------------------------------------------------------------

#[test]
fn settings_that_are_not_valid_change_nothing_and_are_told_to_nobody() {
    let (builder, told) = told();
    let breaker = builder.build().unwrap();
    let before = breaker.snapshot();
    let error = breaker.reconfigure(sensitive().consecutive_failures(7).minimum_calls(0));
    assert_eq!(error.unwrap_err().setting(), "minimum_calls");
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open, "one failure is still enough, not seven");
    breaker.reset();
    assert_eq!(breaker.snapshot().trip_rules().count(), before.trip_rules().count());
    assert!(told.lock().unwrap().iter().all(|event| !event.contains("reconfigured")));
}

#[test]
fn equal_settings_do_nothing_and_tell_nobody() {
    let (builder, told) = told();
    let breaker = builder.build().unwrap();
    assert_eq!(breaker.reconfigure(sensitive()).unwrap(), Reconfigured::Unchanged);
    // The name and the listeners of the builder are ignored, and defaults may be spelled out.
    let same = CircuitBreaker::builder("other").on_event(|_| panic!("this is no listener"));
    let same = same.consecutive_failures(1).open_duration(SECOND).probe_timeout(30 * SECOND);
    let same = same.half_open(HalfOpen::consecutive_successes(1));
    assert_eq!(breaker.reconfigure(same).unwrap(), Reconfigured::Unchanged);
    assert!(told.lock().unwrap().is_empty());
}

#[test]
fn the_name_and_the_listeners_stay() {
    let (builder, told) = told();
    let breaker = builder.build().unwrap();
    let other = CircuitBreaker::builder("other").on_event(|_| panic!("this is no listener"));
    breaker.reconfigure(other.consecutive_failures(2)).unwrap();
    assert_eq!(breaker.name(), "test");
    breaker.trip();
    let told = told.lock().unwrap();
    assert!(told[0].starts_with("test: reconfigured ("), "{told:?}");
    assert!(told[1].starts_with("test: closed -> open"), "{told:?}");
}

#[test]
fn the_event_names_each_setting_that_has_changed_with_its_old_and_its_new_value() {
    let changes = Arc::<Mutex<Vec<String>>>::default();
    let to = changes.clone();
    let breaker = CircuitBreaker::builder("test").on_event(move |event| {
        if let EventKind::Reconfigured(it) = event.kind() {
            to.lock().unwrap().extend(it.changes().iter().map(ToString::to_string));
        }
    });
    let breaker = breaker.build().unwrap();
    let every_setting = CircuitBreaker::builder("test")
        .consecutive_failures(3)
        .failure_count_threshold(4)
        .failure_rate_threshold(0.25)
        .slow_call_rate_threshold(0.75)
        .slow_call_duration_threshold(500 * MS)
        .sliding_window(SlidingWindow::count(50))
        .minimum_calls(10)
        .open_duration(Backoff::constant(SECOND).jitter(0.0))
        .half_open(HalfOpen::sample(5).ramp(30 * SECOND))
        .probe_timeout(2 * SECOND)
        .abandoned_after(900 * MS)
        .hung_after(2 * SECOND)
        .slow_in_flight(true)
        .max_retry_after(60 * SECOND)
        .trip_on_retry_after(true)
        .enforcement(0.5);
    breaker.reconfigure(every_setting.clone()).unwrap();
    let growing = Backoff::exponential(SECOND, 9 * SECOND).factor(3.0).forget_after(60 * SECOND);
    let window = SlidingWindow::time(10 * SECOND).buckets(5);
    breaker.reconfigure(every_setting.open_duration(growing).sliding_window(window)).unwrap();
    assert_eq!(
        *changes.lock().unwrap(),
        [
            "consecutive_failures 5 -> 3",
            "failure_count_threshold none -> 4",
            "failure_rate_threshold 0.5 -> 0.25",
            "slow_call_rate_threshold none -> 0.75",
            "slow_call_duration_threshold none -> 500ms",
            "sliding_window 30s in 10 buckets -> 50 calls",
            "minimum_calls 20 -> 10",
            "open_duration 5s to 60s, factor 2, jitter 0.1 -> 1s, jitter 0",
            "half_open 3 successes -> sample of 5, ramp over 30s",
            "probe_timeout 30s -> 2s",
            "abandoned_after none -> 900ms",
            "hung_after none -> 2s",
            "slow_in_flight false -> true",
            "max_retry_after 300s -> 60s",
            "trip_on_retry_after false -> true",
            "enforcement 1 -> 0.5",
            "sliding_window 50 calls -> 10s in 5 buckets",
            "open_duration 1s, jitter 0 -> 1s to 9s, factor 3, jitter 0.1, forget after 60s",
        ]
    );
}

#[test]
fn a_change_of_a_setting_has_a_name_and_two_values() {
    let changes = Arc::<Mutex<Vec<[String; 3]>>>::default();
    let to = changes.clone();
    let breaker = sensitive().on_event(move |event| {
        if let EventKind::Reconfigured(it) = event.kind() {
            let all = it.changes();
            let texts = all.iter().map(|it| [it.setting(), it.from(), it.to()].map(str::to_owned));
            to.lock().unwrap().extend(texts);
        }
    });
    let breaker = breaker.build().unwrap();
    breaker.reconfigure(sensitive().half_open(HalfOpen::consecutive_successes(2))).unwrap();
    let expected = ["half_open", "1 success", "2 successes"].map(str::to_owned);
    assert_eq!(*changes.lock().unwrap(), [expected]);
}

#[test]
fn the_answer_says_what_became_of_the_window() {
    let answers = [
        (Reconfigured::Unchanged, "unchanged"),
        (Reconfigured::WindowKept, "window kept"),
        (Reconfigured::WindowShortened, "window shortened"),
        (Reconfigured::WindowRestarted, "window restarted"),
    ];
    for (answer, text) in answers {
        assert_eq!(answer.to_string(), text);
    }
}

#[test]
fn the_share_that_is_enforced_stays_unless_the_new_settings_have_one() {
    let breaker = sensitive().build().unwrap();
    breaker.set_enforcement(0.25).unwrap();
    breaker.reconfigure(sensitive().minimum_calls(5)).unwrap();
    assert_eq!(breaker.snapshot().enforcement(), 0.25);
    let answer = breaker.reconfigure(sensitive().minimum_calls(5).enforcement(1.0)).unwrap();
    assert_eq!(answer, Reconfigured::WindowKept);
    assert_eq!(breaker.snapshot().enforcement(), 1.0);
}

// ---- what is kept ---------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn the_state_its_age_the_streak_and_calls_in_flight_stay_and_the_next_result_is_judged_anew()
{
    let breaker = CircuitBreaker::builder("test").consecutive_failures(5).build().unwrap();
    for _ in 0..3 {
        permit(&breaker).failure();
    }
    let call = permit(&breaker);
    advance(SECOND).await;
    let stricter = CircuitBreaker::builder("test").consecutive_failures(2);
    assert_eq!(breaker.reconfigure(stricter).unwrap(), Reconfigured::WindowKept);
    assert_eq!(breaker.state(), State::Closed, "nothing trips by the change itself");
    assert_eq!(breaker.snapshot().age(), SECOND);
    assert_eq!(breaker.snapshot().consecutive_failures(), 3);
    call.failure();
    let cause = breaker.history().last().unwrap().cause();
    assert_eq!(cause, Cause::ConsecutiveFailures { failures: 4 });
}

#[test]
fn a_window_of_the_same_shape_is_kept() {
    for window in [SlidingWindow::count(10), SlidingWindow::time(10 * SECOND).buckets(5)] {
        let breaker = rate().sliding_window(window).build().unwrap();
        (0..7).for_each(|_| permit(&breaker).failure());
        let changed = rate().sliding_window(window).failure_rate_threshold(0.9).minimum_calls(8);
        assert_eq!(breaker.reconfigure(changed).unwrap(), Reconfigured::WindowKept);
        assert_eq!(counts(&breaker), (7, 7));
        permit(&breaker).failure();
        assert_eq!(breaker.state(), State::Open, "eight calls are enough now");
    }
    let breaker = rate().sliding_window(SlidingWindow::time(10 * SECOND)).build().unwrap();
    permit(&breaker).failure();
    let same = rate().sliding_window(SlidingWindow::time(10 * SECOND).buckets(10));
    assert_eq!(breaker.reconfigure(same).unwrap(), Reconfigured::Unchanged);
}

#[test]
fn a_count_window_of_another_length_keeps_its_newest_results() {
    let breaker = in_window(100).build().unwrap();
    // The newest twenty: ten failures, then ten successes.
    for (n, failed) in [(30, true), (25, false), (10, true), (10, false)] {
        for _ in 0..n {
            if failed { permit(&breaker).failure() } else { permit(&breaker).success() }
        }
    }
    assert_eq!(breaker.reconfigure(in_window(75)).unwrap(), Reconfigured::WindowKept);
    assert_eq!(counts(&breaker), (75, 40));
    assert_eq!(breaker.reconfigure(in_window(20)).unwrap(), Reconfigured::WindowShortened);
    assert_eq!(counts(&breaker), (20, 10));
    assert_eq!(breaker.reconfigure(in_window(200)).unwrap(), Reconfigured::WindowKept);
    assert_eq!(counts(&breaker), (20, 10));
    // The oldest results leave first, as ever.
    assert_eq!(breaker.reconfigure(in_window(20)).unwrap(), Reconfigured::WindowKept);
    (0..10).for_each(|_| permit(&breaker).success());
    assert_eq!(counts(&breaker), (20, 0));
}

#[tokio::test(start_paused = true)]
async fn any_other_change_of_the_window_begins_an_empty_one() {
    let windows = [
        Some(SlidingWindow::count(100)),
        Some(SlidingWindow::time(10 * SECOND)),
        Some(SlidingWindow::time(20 * SECOND)),
        Some(SlidingWindow::time(20 * SECOND).buckets(4)),
        None,
        Some(SlidingWindow::time(20 * SECOND).buckets(4)),
        None,
        Some(SlidingWindow::count(10)),
    ];
    let settings = |window: Option<SlidingWindow>| match window {
        Some(window) => rate().consecutive_failures(9).sliding_window(window),
        None => CircuitBreaker::builder("test").consecutive_failures(9),
    };
    let breaker = settings(windows[0]).build().unwrap();
    for window in &windows[1..] {
        permit(&breaker).failure();
        let answer = breaker.reconfigure(settings(*window)).unwrap();
        assert_eq!(answer, Reconfigured::WindowRestarted);
        assert_eq!(counts(&breaker), (0, 0));
    }
    assert_eq!(breaker.snapshot().consecutive_failures(), 7, "the streak stays");
    // The grid of a time window begins with it.
    advance(700 * MS).await;
    breaker.reconfigure(settings(windows[1])).unwrap();
    permit(&breaker).failure();
    advance(10 * SECOND - MS).await;
    assert_eq!(counts(&breaker), (1, 1));
    advance(MS).await;
    assert_eq!(counts(&breaker), (0, 0));
}

#[test]
fn no_window_before_and_after_is_a_window_that_is_kept() {
    let breaker = CircuitBreaker::builder("test").consecutive_failures(5).build().unwrap();
    let changed = CircuitBreaker::builder("test").consecutive_failures(6);
    assert_eq!(breaker.reconfigure(changed).unwrap(), Reconfigured::WindowKept);
}

// ---- time -----------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn an_open_circuit_may_become_shorter_and_never_longer() {
    let breaker = sensitive().open_duration(10 * SECOND).build().unwrap();
    breaker.trip();
    let retry_after = |breaker: &CircuitBreaker| breaker.snapshot().retry_after().unwrap();
    breaker.reconfigure(sensitive().open_duration(20 * SECOND)).unwrap();
    assert_eq!(retry_after(&breaker), 10 * SECOND);
    advance(2 * SECOND).await;
    breaker.reconfigure(sensitive().open_duration(5 * SECOND)).unwrap();
    assert_eq!(retry_after(&breaker), 3 * SECOND, "counted from the trip");
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), Some(3 * SECOND));
    breaker.reconfigure(sensitive().open_duration(SECOND)).unwrap();
    assert_eq!(retry_after(&breaker), Duration::ZERO);
    assert!(breaker.try_acquire().is_ok(), "the wait has elapsed");
}

#[tokio::test(start_paused = true)]
async fn a_shorter_wait_wakes_callers_and_does_not_cut_off_a_retry_after() {
    let exactly = |wait| Backoff::constant(wait).jitter(0.0);
    let breaker = sensitive().open_duration(exactly(60 * SECOND)).build().unwrap();
    let (backend, _) = backend();
    let mut service = task(CircuitBreakerLayer::new(breaker.clone()).backpressure().layer(backend));
    permit(&breaker).failure_retry_after(20 * SECOND);
    assert_pending!(service.poll_ready());
    breaker.reconfigure(sensitive().open_duration(exactly(SECOND))).unwrap();
    assert!(service.is_woken());
    assert_eq!(breaker.snapshot().retry_after(), Some(20 * SECOND));
    assert_pending!(service.poll_ready());
    advance(20 * SECOND + MS).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn probes_in_flight_keep_their_time_and_later_ones_have_the_new_one() {
    let probes = HalfOpen::consecutive_successes(2);
    let breaker = sensitive().half_open(probes).probe_timeout(10 * SECOND).build().unwrap();
    until_half_open(&breaker).await;
    let first = permit(&breaker);
    breaker.reconfigure(sensitive().half_open(probes).probe_timeout(3 * SECOND)).unwrap();
    assert_eq!(breaker.snapshot().next_probe_timeout(), Some(10 * SECOND));
    let second = permit(&breaker);
    assert_eq!(breaker.snapshot().next_probe_timeout(), Some(3 * SECOND));
    second.success();
    advance(9 * SECOND).await;
    first.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_admitted_untimed_are_neither_slow_nor_late_when_timing_is_switched_on() {
    let settings = || sensitive().failure_rate_threshold(1.0).consecutive_failures(9);
    let breaker = settings().build().unwrap();
    let calls = [permit(&breaker), permit(&breaker), permit(&breaker)];
    advance(10 * SECOND).await;
    let timing = settings()
        .slow_call_duration_threshold(SECOND)
        .slow_call_rate_threshold(0.1)
        .abandoned_after(SECOND);
    breaker.reconfigure(timing.minimum_calls(1)).unwrap();
    let [success, failure, abandoned] = calls;
    success.success();
    failure.failure();
    drop(abandoned);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls(), snapshot.failures(), snapshot.slow_calls()), (2, 1, 0));
    assert_eq!(snapshot.state(), State::Closed);
    let timed = permit(&breaker);
    advance(SECOND).await;
    timed.success();
    assert_eq!(breaker.state(), State::Open, "later calls are timed");
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_admitted_timed_are_judged_by_the_new_duration() {
    let timing = |d| sensitive().slow_call_duration_threshold(d).slow_call_rate_threshold(1.0);
    let breaker = timing(10 * SECOND).build().unwrap();
    let (call, other) = (permit(&breaker), permit(&breaker));
    advance(2 * SECOND).await;
    breaker.reconfigure(timing(2 * SECOND)).unwrap();
    call.success();
    assert_eq!(breaker.snapshot().slow_calls(), 1);
    breaker.reconfigure(timing(3 * SECOND)).unwrap();
    other.success();
    assert_eq!(breaker.snapshot().slow_calls(), 1);
}

// ---- half-open ------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn where_a_new_half_open_rule_leaves_no_slot_one_more_probe_is_admitted_and_decides() {
    for (succeeds, state) in [(true, State::Closed), (false, State::Open)] {
        let breaker = sensitive().half_open(HalfOpen::consecutive_successes(5)).build().unwrap();
        until_half_open(&breaker).await;
        (0..3).for_each(|_| permit(&breaker).success());
        breaker.reconfigure(sensitive().half_open(HalfOpen::consecutive_successes(2))).unwrap();
        assert_eq!(breaker.state(), State::HalfOpen, "nothing closes by the change itself");
        assert_eq!(breaker.snapshot().probes_to_close(), Some(1));
        let probe = permit(&breaker);
        assert!(breaker.try_acquire().is_err());
        if succeeds {
            probe.success();
        } else {
            probe.failure();
        }
        assert_eq!(breaker.state(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_a_sample_tolerated_do_not_close_a_circuit_by_successes() {
    let sample = sensitive().failure_rate_threshold(0.9).half_open(HalfOpen::sample(10));
    let breaker = sample.build().unwrap();
    until_half_open(&breaker).await;
    (0..2).for_each(|_| permit(&breaker).failure());
    breaker.reconfigure(sensitive().half_open(HalfOpen::consecutive_successes(2))).unwrap();
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::HalfOpen);
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn more_slots_wake_callers_that_wait_for_one() {
    let breaker = sensitive().build().unwrap();
    let (backend, _) = backend();
    let mut service = task(CircuitBreakerLayer::new(breaker.clone()).backpressure().layer(backend));
    until_half_open(&breaker).await;
    let _probe = permit(&breaker);
    assert_pending!(service.poll_ready());
    breaker.reconfigure(sensitive().half_open(HalfOpen::consecutive_successes(2))).unwrap();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn idle_slots_that_are_too_many_for_a_new_rule_are_given_back_before_another_probe() {
    let many = sensitive().half_open(HalfOpen::consecutive_successes(3));
    let breaker = many.build().unwrap();
    until_half_open(&breaker).await;
    let probe = permit(&breaker);
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let mut services = [task(layer.layer(backend().0)), task(layer.layer(backend().0))];
    for service in &mut services {
        assert_ready_ok!(service.poll_ready());
    }
    assert_eq!(breaker.snapshot().probes_in_flight(), 3);
    breaker.reconfigure(sensitive()).unwrap();
    assert!(breaker.try_acquire().is_err(), "one probe is in flight, and one is permitted");
    probe.ignore();
    let probe = permit(&breaker);
    assert_eq!(breaker.snapshot().probes_in_flight(), 1);
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}
