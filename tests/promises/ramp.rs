//! A circuit that recovers gradually.

use std::time::Duration;

use tokio::time::Instant;
use tower::{Service, ServiceExt, service_fn};
use tower_breaker::{
    Backoff, Cause, CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, EventKind,
    HalfOpen, RejectReason, State,
};
use tower_layer::Layer;

use crate::{SECOND, advance, permit, sensitive, until_half_open};

const RAMP: Duration = Duration::from_secs(30);

fn gradual() -> CircuitBreakerBuilder {
    sensitive().consecutive_failures(3).half_open(HalfOpen::consecutive_successes(1).ramp(RAMP))
}

/// Returns a breaker whose ramp begins now.
async fn recovering(builder: CircuitBreakerBuilder) -> CircuitBreaker {
    let breaker = builder.build().unwrap();
    until_half_open(&breaker).await;
    permit(&breaker).success();
    breaker
}

/// Asks for admission this often, and returns how many calls are admitted. All of them succeed.
fn admitted(breaker: &CircuitBreaker, asked: usize) -> usize {
    let answers = (0..asked).filter_map(|_| breaker.try_acquire().ok());
    answers.map(|permit| permit.success()).count()
}

#[tokio::test(start_paused = true)]
async fn a_tenth_of_the_calls_is_admitted_at_first_and_then_a_share_that_grows_with_the_time() {
    let breaker = recovering(gradual()).await;
    assert_eq!(breaker.snapshot().admitted_share(), 0.1);
    assert_eq!(admitted(&breaker, 100), 1 + 10); // the credit is 1 at first
    for tenth in 1..10 {
        advance(RAMP / 10).await;
        assert_eq!(breaker.snapshot().admitted_share(), f64::from(tenth) / 10.0);
        assert_eq!(admitted(&breaker, 100), 10 * tenth as usize);
        assert_eq!(breaker.state(), State::HalfOpen);
    }
    advance(RAMP / 10).await;
    assert_eq!(admitted(&breaker, 100), 100);
    assert_eq!((breaker.state(), breaker.snapshot().admitted_share()), (State::Closed, 1.0));
}

#[tokio::test(start_paused = true)]
async fn while_the_circuit_is_open_or_probes_decide_the_share_is_zero() {
    let breaker = gradual().build().unwrap();
    breaker.trip();
    assert_eq!(breaker.snapshot().admitted_share(), 0.0);
    advance(SECOND).await;
    let probe = permit(&breaker);
    assert_eq!((breaker.state(), breaker.snapshot().admitted_share()), (State::HalfOpen, 0.0));
    probe.success();
    assert_eq!(breaker.snapshot().admitted_share(), 0.1);
}

#[tokio::test(start_paused = true)]
async fn without_a_ramp_the_circuit_closes_at_once() {
    for half_open in [
        HalfOpen::consecutive_successes(1),
        HalfOpen::consecutive_successes(1).ramp(Duration::ZERO),
    ] {
        let breaker = recovering(gradual().half_open(half_open)).await;
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_earns_nothing() {
    let breaker = recovering(gradual()).await;
    assert_eq!(admitted(&breaker, 1), 1);
    advance(RAMP / 2).await;
    // Half of the calls are admitted, and none because of the pause.
    assert_eq!(admitted(&breaker, 20), 10);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_says_to_come_back_in_a_tenth_of_the_ramp_or_when_it_is_over() {
    let breaker = recovering(gradual()).await;
    admitted(&breaker, 1);
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.reason(), RejectReason::Recovering);
    assert_eq!(rejected.retry_after(), Some(RAMP / 10));
    assert_eq!(breaker.snapshot().retry_after(), Some(RAMP / 10));
    let text = "circuit breaker `test` rejected the call: the circuit is recovering and admits only a share of the calls";
    assert_eq!(rejected.to_string(), text);

    advance(RAMP - SECOND).await;
    let rejected = (0..100).find_map(|_| breaker.try_acquire().err());
    assert_eq!(rejected.unwrap().retry_after(), Some(SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_ramp_and_the_closed_period_after_it_are_one_period() {
    let window = tower_breaker::SlidingWindow::count(10);
    let builder = gradual().failure_rate_threshold(1.0).sliding_window(window);
    let breaker = recovering(builder).await;
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls(), snapshot.probes_to_close()), (0, None)); // the probe stays outside
    permit(&breaker).failure();
    advance(RAMP / 2).await;
    let admitted_in_the_ramp = (0..10).find_map(|_| breaker.try_acquire().ok()).unwrap();
    advance(RAMP / 2).await;
    permit(&breaker).failure();
    assert_eq!(breaker.state(), State::Closed);
    admitted_in_the_ramp.failure();
    assert_eq!(breaker.snapshot().cause(), Some(Cause::ConsecutiveFailures { failures: 3 }));
}

#[tokio::test(start_paused = true)]
async fn a_trip_rule_that_is_reached_in_the_ramp_opens_the_circuit_with_the_next_attempt() {
    let backoff = Backoff::exponential(SECOND, 60 * SECOND).jitter(0.0);
    let breaker = gradual().open_duration(backoff).build().unwrap();
    for attempt in 1..4 {
        if attempt == 1 {
            breaker.trip();
        } else {
            advance(RAMP * 9 / 10).await;
            while let State::HalfOpen = breaker.state() {
                if let Ok(permit) = breaker.try_acquire() {
                    permit.failure();
                }
            }
            let cause = Cause::ConsecutiveFailures { failures: 3 };
            assert_eq!(breaker.snapshot().cause(), Some(cause));
        }
        assert_eq!(breaker.snapshot().attempt(), Some(attempt));
        advance(breaker.snapshot().retry_after().unwrap()).await;
        permit(&breaker).success();
    }
    advance(RAMP).await;
    permit(&breaker).success();
    breaker.trip();
    assert_eq!(breaker.snapshot().attempt(), Some(1)); // it had closed
}

#[tokio::test(start_paused = true)]
async fn listeners_learn_when_the_ramp_begins_and_when_the_circuit_closes() {
    let (told, events) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let builder = gradual().on_event(move |event| {
        if matches!(event.kind(), EventKind::Transition(_) | EventKind::Recovering { .. }) {
            told.lock().unwrap().send(event.to_string()).unwrap();
        }
    });
    let breaker = recovering(builder).await;
    advance(RAMP).await;
    permit(&breaker).success();
    let events: Vec<String> = events.try_iter().collect();
    assert_eq!(
        events[2..],
        ["test: recovering over 30s", "test: half-open -> closed (the ramp completed)",]
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_is_woken_at_every_tenth() {
    let breaker = recovering(gradual()).await;
    admitted(&breaker, 1);
    let start = Instant::now();
    // It asks twice whenever it looks: at first and after one tenth with a share of 0.1, and then with 0.2 and 0.3.
    breaker.acquire().await.success();
    assert_eq!(start.elapsed(), 3 * RAMP / 10);
}

#[tokio::test(start_paused = true)]
async fn operators_act_in_a_ramp_as_they_do_elsewhere() {
    let breaker = recovering(gradual()).await;
    breaker.reset();
    assert_eq!((breaker.state(), admitted(&breaker, 10)), (State::Closed, 10));

    let breaker = recovering(gradual()).await;
    breaker.force_closed();
    assert_eq!((breaker.state(), admitted(&breaker, 10)), (State::Closed, 10));

    let breaker = recovering(gradual()).await;
    breaker.trip();
    assert_eq!((breaker.state(), admitted(&breaker, 10)), (State::Open, 0));

    let breaker = recovering(gradual()).await;
    breaker.force_open();
    breaker.resume();
    permit(&breaker).success(); // a probe
    assert_eq!(breaker.snapshot().admitted_share(), 0.1);
}

#[tokio::test(start_paused = true)]
async fn a_ramp_goes_on_as_it_began_when_the_settings_change() {
    let breaker = recovering(gradual()).await;
    let settings = gradual().half_open(HalfOpen::consecutive_successes(1));
    breaker.reconfigure(settings).unwrap();
    advance(RAMP / 2).await;
    assert_eq!(breaker.snapshot().admitted_share(), 0.5);
    advance(RAMP / 2).await;
    permit(&breaker).success();
    until_half_open(&breaker).await;
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_turned_away_in_shadow_mode_are_made_and_do_not_count() {
    let breaker = recovering(gradual().enforcement(0.0)).await;
    let permits: Vec<_> = (0..20).map(|_| permit(&breaker)).collect();
    assert_eq!(permits.iter().filter(|permit| !permit.is_shadow()).count(), 3);
    permits.into_iter().filter(|permit| permit.is_shadow()).for_each(|permit| permit.failure());
    assert_eq!(breaker.snapshot().consecutive_failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_says_how_much_is_admitted() {
    let breaker = recovering(gradual()).await;
    advance(RAMP * 2 / 5).await;
    let text = "half-open for 12.0s (the wait is over), recovering, 40 % of calls admitted: 0 of 3 failures in a row";
    assert_eq!(breaker.snapshot().to_string(), text);
}

// ---- as a layer -----------------------------------------------------------------------------

fn service(breaker: &CircuitBreaker) -> impl Service<(), Response = (), Error = String> + use<> {
    let inner = service_fn(|()| async { Ok::<_, &str>(()) });
    CircuitBreakerLayer::new(breaker.clone())
        .layer(inner)
        .map_err(|error| error.map_inner(str::to_owned).to_string())
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_ready_is_admitted_and_asks_once_for_each_call() {
    let breaker = recovering(gradual()).await;
    advance(RAMP / 2).await;
    let mut service = service(&breaker);
    let mut succeeded = 0;
    for _ in 0..100 {
        succeeded += usize::from(service.ready().await.unwrap().call(()).await.is_ok());
    }
    assert_eq!(succeeded, 1 + 50);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_became_ready_in_the_ramp_makes_its_call_after_it() {
    let breaker = recovering(gradual()).await;
    let mut service = service(&breaker);
    service.ready().await.unwrap();
    advance(RAMP).await;
    permit(&breaker).success();
    assert_eq!(breaker.state(), State::Closed);
    service.call(()).await.unwrap();

    breaker.trip();
    advance(SECOND).await;
    permit(&breaker).success();
    service.ready().await.unwrap();
    breaker.trip();
    let error = service.call(()).await.unwrap_err();
    assert!(error.contains("the circuit is open"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn services_that_are_ready_and_not_called_keep_nobody_waiting() {
    let breaker = recovering(gradual()).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        let mut service = service(&breaker);
        service.ready().await.unwrap();
        idle.push(service);
    }
    assert_eq!(admitted(&breaker, 100), 10);
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_a_service_waits_for_its_share() {
    let breaker = recovering(gradual()).await;
    admitted(&breaker, 1);
    let inner = service_fn(|()| async { Ok::<_, &str>(()) });
    let mut service = CircuitBreakerLayer::new(breaker.clone()).backpressure().layer(inner);
    let start = Instant::now();
    service.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(start.elapsed(), 3 * RAMP / 10);
}

// ---- under threads --------------------------------------------------------------------------

#[test]
fn eight_threads_are_admitted_as_often_as_one() {
    let breaker = CircuitBreaker::builder("threads")
        .open_duration(Duration::from_nanos(1))
        .half_open(HalfOpen::consecutive_successes(1).ramp(Duration::from_secs(1_000_000)))
        .build()
        .unwrap();
    breaker.trip();
    while breaker.snapshot().retry_after() != Some(Duration::ZERO) {} // a nanosecond
    permit(&breaker).success();
    let by_thread: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| admitted(&breaker, 1000))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(by_thread.iter().sum::<usize>(), 1 + 800);
}
