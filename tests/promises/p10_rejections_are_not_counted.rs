//! Point 10: the rejections of a breaker never enter its own window.

use tower::{Layer, ServiceExt, service_fn};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, State};

use crate::{SECOND, advance, permit};

#[tokio::test(start_paused = true)]
async fn rejections_count_neither_as_calls_nor_as_failures() {
    let breaker = CircuitBreaker::builder("rejecting")
        .failure_rate_threshold(0.5)
        .minimum_calls(2)
        .open_duration(SECOND)
        .build()
        .unwrap();
    let inner = service_fn(|()| async { Ok::<(), ()>(()) });
    let service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
    (0..2).for_each(|_| permit(&breaker).failure());
    let tripped = breaker.snapshot();
    for _ in 0..100 {
        service.clone().oneshot(()).await.unwrap_err();
        breaker.call(async { Ok::<(), ()>(()) }).await.unwrap_err();
    }
    assert_eq!(breaker.snapshot(), tripped);

    advance(SECOND).await;
    let probes = [permit(&breaker), permit(&breaker), permit(&breaker)];
    for _ in 0..100 {
        service.clone().oneshot(()).await.unwrap_err();
    }
    assert_eq!(breaker.snapshot().calls(), 0);
    probes.into_iter().for_each(|probe| probe.success());
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_call_polls_neither_the_future_nor_the_inner_service() {
    let breaker = CircuitBreaker::new("untouched");
    breaker.trip();
    let inner = service_fn(|()| async { panic!("called") as Result<(), ()> });
    let service = CircuitBreakerLayer::new(breaker.clone()).layer(inner);
    assert!(service.oneshot(()).await.unwrap_err().rejected().is_some());
    let call = breaker.call(async { panic!("polled") as Result<(), ()> });
    assert!(call.await.unwrap_err().rejected().is_some());
}
