//! Calls that hang count before they end.

use std::time::Duration;

use tower_breaker::{
    Backoff, Cause, CircuitBreaker, CircuitBreakerBuilder, HalfOpen, Permit, SlidingWindow, State,
};

use crate::{MS, SECOND, advance, permit};

const HUNG_AFTER: Duration = Duration::from_secs(2);
/// No call that began at any moment is in flight for longer without counting.
const AT_THE_LATEST: Duration = Duration::from_millis(2500);

fn by_streak() -> CircuitBreakerBuilder {
    let constant = Backoff::constant(5 * SECOND).jitter(0.0);
    CircuitBreaker::builder("test")
        .consecutive_failures(5)
        .hung_after(HUNG_AFTER)
        .open_duration(constant)
}

fn by_rate() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("test")
        .failure_rate_threshold(0.5)
        .minimum_calls(4)
        .sliding_window(SlidingWindow::time(30 * SECOND))
        .hung_after(HUNG_AFTER)
}

fn calls(breaker: &CircuitBreaker, n: usize) -> Vec<Permit> {
    (0..n).map(|_| permit(breaker)).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_open_the_circuit_before_they_end() {
    let breaker = by_streak().build().unwrap();
    let _hanging = calls(&breaker, 5);
    advance(AT_THE_LATEST - MS).await;
    assert_eq!((breaker.state(), breaker.snapshot().hung_calls()), (State::Closed, Some(0)));
    advance(MS).await;
    assert!(breaker.try_acquire().is_err(), "the first call that asks is turned away");
    assert_eq!(breaker.snapshot().cause(), Some(Cause::Hung { in_flight: 5, limit: 5 }));
    assert_eq!(
        breaker.history()[0].to_string(),
        "test: closed -> open (5 calls hang, limit 5), next probe in 5.0s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_hangs_at_the_end_of_the_quarter_in_which_it_began_and_the_time_after_that() {
    for (began, hangs) in [(0, 2500), (499, 2500), (500, 3000), (1999, 4000), (2000, 4500)] {
        let breaker = by_streak().build().unwrap();
        advance(began * MS).await;
        let _hanging = permit(&breaker);
        advance((hangs - began) * MS - Duration::from_nanos(1)).await;
        assert_eq!(breaker.snapshot().hung_calls(), Some(0), "{began}");
        advance(Duration::from_nanos(1)).await;
        assert_eq!(breaker.snapshot().hung_calls(), Some(1), "{began}");
    }
}

#[tokio::test(start_paused = true)]
async fn looking_moves_nothing_and_the_open_period_begins_when_a_call_asks() {
    let breaker = by_streak().build().unwrap();
    let _hanging = calls(&breaker, 5);
    advance(10 * SECOND).await;
    assert_eq!(
        breaker.snapshot().to_string(),
        "closed for 10.0s: 5 of 5 failures in a row, 5 calls hang"
    );
    assert_eq!(breaker.state(), State::Closed);
    let rejected = breaker.try_acquire().unwrap_err();
    assert!(rejected.retry_after() == Some(5 * SECOND));
    assert_eq!(breaker.snapshot().age(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_after_all_is_recorded_as_what_it_was() {
    let breaker = by_rate().build().unwrap();
    let hanging = calls(&breaker, 3);
    advance(AT_THE_LATEST).await;
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls(), snapshot.hung_calls()), (0, Some(3)));
    for (n, permit) in hanging.into_iter().enumerate() {
        permit.success();
        let snapshot = breaker.snapshot();
        let left = 2 - n as u64;
        assert_eq!((snapshot.calls(), snapshot.hung_calls()), (n as u64 + 1, Some(left)));
        assert_eq!(snapshot.calls_in_flight(), Some(left));
    }
    assert_eq!((breaker.snapshot().failures(), breaker.state()), (0, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn rates_are_those_of_the_window_and_of_the_calls_that_hang() {
    let breaker = by_rate().build().unwrap();
    calls(&breaker, 3).into_iter().for_each(Permit::success);
    let _hanging = calls(&breaker, 2);
    advance(AT_THE_LATEST).await;
    assert_eq!(breaker.snapshot().failure_rate(), Some(0.4));
    let _hangs_too = calls(&breaker, 1);
    advance(AT_THE_LATEST).await;
    assert_eq!(breaker.snapshot().failure_rate(), Some(0.5));
    assert!(breaker.try_acquire().is_err());
    assert_eq!(breaker.snapshot().cause(), Some(Cause::FailureRate { failures: 3, calls: 6 }));
    assert_eq!(breaker.history()[0].calls_in_flight(), 3);
    let text = "test: closed -> open (3 of 6 calls failed, 3 of them in flight), next probe in ";
    assert!(breaker.history()[0].to_string().starts_with(text));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_leaked_does_not_weigh_for_ever() {
    // In a time window until its deadline leaves it.
    let breaker = by_rate().minimum_calls(1).failure_rate_threshold(1.0).build().unwrap();
    std::mem::forget(permit(&breaker));
    advance(AT_THE_LATEST).await;
    assert_eq!(breaker.snapshot().failure_rate(), Some(1.0));
    advance(30 * SECOND).await;
    assert_eq!(breaker.snapshot().failure_rate(), None);
    assert_eq!(breaker.snapshot().hung_calls(), Some(1));
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);

    // In a count window until it is full of later results.
    let window = SlidingWindow::count(10);
    let breaker = by_rate().sliding_window(window).minimum_calls(10).build().unwrap();
    calls(&breaker, 10).into_iter().for_each(Permit::success);
    std::mem::forget(permit(&breaker));
    advance(AT_THE_LATEST).await;
    for _ in 0..9 {
        permit(&breaker).success();
        assert_eq!(breaker.snapshot().failure_rate(), Some(1.0 / 11.0));
    }
    permit(&breaker).success();
    assert_eq!(breaker.snapshot().failure_rate(), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_merely_long_beside_healthy_ones_trip_nothing() {
    let breaker = by_streak().build().unwrap();
    let _sockets = calls(&breaker, 100);
    for _ in 0..1000 {
        advance(SECOND / 2).await;
        permit(&breaker).success();
    }
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state(), snapshot.hung_calls()), (State::Closed, Some(100)));
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_the_streak_of_the_calls_that_hang() {
    let breaker = by_streak().build().unwrap();
    let _hanging = calls(&breaker, 4);
    advance(AT_THE_LATEST).await;
    permit(&breaker).success();
    let _hang_later = calls(&breaker, 4);
    advance(AT_THE_LATEST).await;
    permit(&breaker).ignore();
    assert_eq!(breaker.state(), State::Closed);
    permit(&breaker).failure();
    // One failure and the four that hang since the success.
    assert_eq!(breaker.snapshot().cause(), Some(Cause::Hung { in_flight: 4, limit: 5 }));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_ignored_or_abandoned_leaves_and_says_nothing() {
    let breaker = by_streak().build().unwrap();
    let mut hanging = calls(&breaker, 6);
    advance(AT_THE_LATEST - MS).await;
    hanging.pop().unwrap().ignore();
    drop(hanging.pop());
    advance(MS).await;
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.hung_calls(), snapshot.consecutive_failures()), (Some(4), 0));
    permit(&breaker).ignore();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_been_answered_ages_no_further() {
    let breaker = by_streak().build().unwrap();
    let mut streams = calls(&breaker, 10);
    streams.iter_mut().for_each(Permit::answered);
    advance(3600 * SECOND).await;
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls_in_flight(), snapshot.hung_calls()), (Some(0), Some(0)));
    streams.into_iter().for_each(Permit::failure);
    assert_eq!(breaker.snapshot().cause(), Some(Cause::ConsecutiveFailures { failures: 5 }));
}

#[tokio::test(start_paused = true)]
async fn only_calls_of_the_present_closed_period_hang() {
    let breaker = by_streak().half_open(HalfOpen::consecutive_successes(1)).build().unwrap();
    let _earlier = calls(&breaker, 5);
    breaker.reset();
    advance(AT_THE_LATEST).await;
    assert_eq!(breaker.snapshot().calls_in_flight(), Some(0));
    breaker.trip();
    advance(5 * SECOND).await;
    let probe = permit(&breaker);
    advance(AT_THE_LATEST).await;
    assert_eq!(breaker.snapshot().hung_calls(), Some(0)); // a probe has a time of its own
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn while_an_operator_holds_the_circuit_closed_calls_hang_and_trip_nothing() {
    let breaker = by_streak().build().unwrap();
    breaker.force_closed();
    let _hanging = calls(&breaker, 5);
    advance(AT_THE_LATEST).await;
    permit(&breaker).ignore();
    assert_eq!((breaker.state(), breaker.snapshot().hung_calls()), (State::Closed, Some(5)));
    breaker.resume();
    assert_eq!(breaker.state(), State::Closed);
    assert!(breaker.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_in_a_ramp_open_the_circuit() {
    let ramp = HalfOpen::consecutive_successes(1).ramp(10 * SECOND);
    let breaker = by_streak().half_open(ramp).build().unwrap();
    breaker.trip();
    advance(6 * SECOND).await;
    permit(&breaker).success();
    let mut hanging = Vec::new();
    while hanging.len() < 5 {
        hanging.extend(breaker.try_acquire());
    }
    advance(AT_THE_LATEST).await;
    assert!(breaker.try_acquire().is_err());
    assert_eq!((breaker.state(), breaker.snapshot().attempt()), (State::Open, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_counts_as_slow_if_it_is_to() {
    let builder = CircuitBreaker::builder("test")
        .slow_call_duration_threshold(SECOND)
        .slow_call_rate_threshold(1.0)
        .minimum_calls(3);
    for counts in [false, true] {
        let breaker = builder.clone().slow_in_flight(counts).build().unwrap();
        let slow = calls(&breaker, 3);
        advance(SECOND * 5 / 4).await;
        assert_eq!(breaker.try_acquire().is_err(), counts);
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.hung_calls(), None);
        if counts {
            assert_eq!(snapshot.cause(), Some(Cause::SlowCallRate { slow_calls: 3, calls: 3 }));
        } else {
            assert_eq!(snapshot.calls_in_flight(), None);
        }
        drop(slow);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_admitted_before_the_setting_do_not_hang() {
    let breaker = CircuitBreaker::builder("test").consecutive_failures(5).build().unwrap();
    let earlier = calls(&breaker, 5);
    breaker.reconfigure(by_streak()).unwrap();
    let _later = calls(&breaker, 4);
    advance(AT_THE_LATEST).await;
    assert_eq!(breaker.snapshot().hung_calls(), Some(4));
    earlier.into_iter().for_each(Permit::ignore);
    permit(&breaker).ignore();
    assert_eq!(breaker.state(), State::Closed);
}

// ---- what it shows ----------------------------------------------------------------------------

/// Lets a healthy dependency be called every 10 ms for half a minute, and then this share of the calls hang, each until
/// a timeout of 30 s. Returns after how long the circuit opens.
async fn opens_after(builder: CircuitBreakerBuilder, hang: impl Fn(usize) -> bool) -> Duration {
    let breaker = builder.build().unwrap();
    for _ in 0..3000 {
        permit(&breaker).success();
        advance(10 * MS).await;
    }
    let mut hanging = std::collections::VecDeque::new();
    let timeout = 30 * SECOND;
    let mut elapsed = Duration::ZERO;
    for n in 0.. {
        while hanging.front().is_some_and(|(began, _)| elapsed >= *began + timeout) {
            let (_, permit): (Duration, Permit) = hanging.pop_front().unwrap();
            permit.failure();
        }
        match breaker.try_acquire() {
            Err(_) => break,
            Ok(permit) if hang(n) => hanging.push_back((elapsed, permit)),
            Ok(permit) => permit.success(),
        }
        advance(10 * MS).await;
        elapsed += 10 * MS;
    }
    elapsed
}

#[tokio::test(start_paused = true)]
async fn an_outage_by_hanging_is_noticed_when_calls_hang_and_not_when_their_timeouts_end() {
    let streak = || CircuitBreaker::builder("test").consecutive_failures(5);
    let rate = || {
        let window = SlidingWindow::time(30 * SECOND);
        CircuitBreaker::builder("test").failure_rate_threshold(0.5).sliding_window(window)
    };
    let all = |_| true;
    let most = |n: usize| n % 5 < 3;
    let rows = [
        (
            "all hang, 5 in a row",
            opens_after(streak(), all).await,
            opens_after(streak().hung_after(HUNG_AFTER), all).await,
        ),
        (
            "all hang, rate 0.5",
            opens_after(rate(), all).await,
            opens_after(rate().hung_after(HUNG_AFTER), all).await,
        ),
        (
            "60 % hang, rate 0.5",
            opens_after(rate(), most).await,
            opens_after(rate().hung_after(HUNG_AFTER), most).await,
        ),
    ];
    for (what, without, with) in rows {
        println!("{what}: open after {without:.1?} without `hung_after`, and {with:.1?} with 2 s");
    }
    let seconds = rows.map(|(_, without, with)| [without, with].map(|d| d.as_secs_f64()));
    let is_about = |seen: f64, expected: f64| (seen - expected).abs() <= 0.1 * expected;
    assert!(is_about(seconds[0][0], 30.0) && (2.0..=2.6).contains(&seconds[0][1]), "{rows:?}");
    assert!(is_about(seconds[1][1], 16.0), "{rows:?}");
    assert!(is_about(seconds[2][1], 26.0), "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn results_that_change_nothing_count_for_how_long_a_call_weighs_in_a_longer_window() {
    let settings = |calls| {
        CircuitBreaker::builder("test")
            .failure_rate_threshold(1.0)
            .slow_call_duration_threshold(100 * SECOND)
            .slow_in_flight(true)
            .hung_after(HUNG_AFTER)
            .minimum_calls(1)
            .sliding_window(SlidingWindow::count(calls))
    };
    let breaker = settings(1).build().unwrap();
    let _hanging = calls(&breaker, 2);
    breaker.force_closed();
    advance(AT_THE_LATEST).await;
    assert_eq!(breaker.snapshot().hung_calls(), Some(2));
    // The first result takes the place of the calls that hang, and fills the window. The second changes nothing.
    (0..2).for_each(|_| permit(&breaker).success());
    breaker.reconfigure(settings(2)).unwrap();
    assert_eq!(breaker.snapshot().failure_rate(), Some(0.0));
}
