//! What the pages say about how the other crates behave.

use std::convert::Infallible;
use std::time::Duration;

use failsafe::{CircuitBreaker as _, backoff, failure_policy};
use recloser::Recloser;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{CircuitBreaker, SlidingWindow, State};
use tower_resilience_circuitbreaker::CircuitBreakerLayer;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn failsafe_judges_no_rate_before_its_window_has_passed() {
    let policy =
        failure_policy::success_rate_over_time_window(0.8, 5, HOUR, backoff::constant(HOUR));
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    for _ in 0..1000 {
        breaker.call(|| Err::<(), _>(())).unwrap_err();
    }
    assert!(breaker.is_call_permitted());

    let breaker = CircuitBreaker::builder("rate")
        .failure_rate_threshold(0.2)
        .sliding_window(SlidingWindow::time(HOUR))
        .minimum_calls(5)
        .build()
        .unwrap();
    for _ in 0..5 {
        breaker.try_acquire().unwrap().failure();
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn failsafe_counts_results_of_calls_that_began_before_the_circuit_opened() {
    let policy = failure_policy::consecutive_failures(1, backoff::constant(Duration::ZERO));
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    // A call begins, and while it lasts, the circuit opens and becomes half-open.
    let late = breaker.call(|| {
        breaker.on_error();
        while !breaker.is_call_permitted() {}
        Ok::<_, ()>(())
    });
    late.unwrap();
    assert!(
        format!("{breaker:?}").contains("closed"),
        "the late success has closed it: {breaker:?}"
    );
}

#[test]
fn the_exponential_backoff_of_failsafe_panics_below_a_second() {
    let result = std::panic::catch_unwind(|| backoff::exponential(HOUR / 3601, HOUR));
    assert!(result.is_err());
}

#[test]
fn recloser_judges_when_one_more_call_than_the_window_holds_has_ended() {
    let breaker = Recloser::custom().error_rate(0.5).closed_len(4).open_wait(HOUR).build();
    let fail = || breaker.call(|| Err::<(), _>(())).unwrap_err();
    for _ in 0..5 {
        assert!(matches!(fail(), recloser::Error::Inner(())));
    }
    assert!(matches!(fail(), recloser::Error::Rejected));

    let breaker = CircuitBreaker::builder("count")
        .failure_rate_threshold(0.5)
        .sliding_window(SlidingWindow::count(4))
        .minimum_calls(4)
        .build()
        .unwrap();
    for _ in 0..4 {
        breaker.try_acquire().unwrap().failure();
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn recloser_lets_all_calls_through_while_it_is_half_open() {
    let breaker = Recloser::custom()
        .error_rate(0.5)
        .closed_len(1)
        .half_open_len(1)
        .open_wait(Duration::ZERO)
        .build();
    for _ in 0..2 {
        breaker.call(|| Err::<(), _>(())).unwrap_err();
    }
    // Each of these calls begins while the former ones are in flight.
    let inner = || breaker.call(|| Ok::<_, ()>(()));
    let in_flight = breaker.call(|| breaker.call(|| breaker.call(inner)));
    in_flight.unwrap();
}

fn failing() -> impl Service<(), Response = (), Error = (), Future: Send> + Clone + Send {
    service_fn(|()| async { Err::<(), _>(()) })
}

#[tokio::test]
async fn the_count_window_of_tower_resilience_does_not_slide() {
    let layer = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(4)
        .failure_classifier(|result: &Result<bool, Infallible>| !result.unwrap_or_default())
        .build()
        .unwrap();
    let mut service = layer.layer(service_fn(|ok: bool| async move { Ok::<_, Infallible>(ok) }));
    for ok in [true; 20].into_iter().chain([false; 20]) {
        service.ready().await.unwrap().call(ok).await.expect("it is closed");
    }
    assert!(service.is_open(), "20 of 40 calls have failed");

    let breaker = CircuitBreaker::builder("count")
        .failure_rate_threshold(0.5)
        .sliding_window(SlidingWindow::count(4))
        .build()
        .unwrap();
    for _ in 0..20 {
        breaker.try_acquire().unwrap().success();
    }
    for _ in 0..2 {
        breaker.try_acquire().unwrap().failure();
    }
    assert_eq!(breaker.state(), State::Open, "2 of the last 4 have");
}

#[tokio::test]
async fn each_service_of_a_layer_of_tower_resilience_has_a_circuit_of_its_own() {
    let layer = CircuitBreakerLayer::builder().consecutive_failures(1).build().unwrap();
    let (one, two) = (layer.layer(failing()), layer.layer(failing()));
    one.clone().oneshot(()).await.unwrap_err();
    assert!(one.is_open());
    assert!(!two.is_open());

    let breaker = CircuitBreaker::builder("shared").consecutive_failures(1).build().unwrap();
    let layer = tower_breaker::CircuitBreakerLayer::new(breaker.clone());
    let (one, two) = (layer.layer(failing()), layer.layer(failing()));
    one.oneshot(()).await.unwrap_err();
    assert!(two.oneshot(()).await.unwrap_err().rejected().is_some());
}

#[tokio::test]
async fn a_probe_of_tower_resilience_that_hangs_keeps_the_circuit_half_open() {
    let layer = CircuitBreakerLayer::builder()
        .consecutive_failures(1)
        .wait_duration_in_open(Duration::ZERO)
        .build()
        .unwrap();
    let answer = |hangs: bool| async move {
        if hangs { std::future::pending().await } else { Err::<(), _>(()) }
    };
    let service = layer.layer(service_fn(answer));
    service.clone().oneshot(false).await.unwrap_err();
    let _probe = tokio::spawn(service.clone().oneshot(true));
    tokio::task::yield_now().await;
    for _ in 0..3 {
        let error = service.clone().oneshot(false).await.unwrap_err();
        assert!(error.is_circuit_open());
    }
}
