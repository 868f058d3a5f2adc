//! What the caller of a tonic client sees when a call is rejected.

use std::error::Error;

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Layer;
use tower_breaker::grpc::{GrpcClassifier, Unavailable};
use tower_breaker::{CircuitBreakerLayer, RejectReason, Rejected, State};

use crate::servers::serve_health;
use crate::{HOUR, breaker, channel, check, client};

#[tokio::test]
async fn a_rejected_caller_sees_unknown_and_the_rejection_as_its_source() {
    let breaker = breaker();
    let mut client = client(&breaker, serve_health().await);
    breaker.trip();
    let status = check(&mut client).await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown);
    assert!(status.message().starts_with("circuit breaker `health` rejected the call"));
    let rejected = status.source().unwrap().downcast_ref::<Rejected>().unwrap();
    assert_eq!(rejected.reason(), RejectReason::Open);
    assert!(rejected.retry_after().is_some());
}

#[tokio::test]
async fn unavailable_is_a_status_with_the_message_and_the_wait_of_the_rejection() {
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(GrpcClassifier::new())
        .fallback(Unavailable);
    let mut client = HealthClient::new(layer.layer(channel(serve_health().await)));
    breaker.trip();
    let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().starts_with("circuit breaker `health` rejected the call"));
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    let millis: u128 = pushback.to_str().unwrap().parse().unwrap();
    assert!(millis > HOUR.as_millis() / 2 && millis <= HOUR.as_millis(), "{millis}");

    breaker.force_open();
    let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!status.metadata().contains_key("grpc-retry-pushback-ms"), "nobody knows for how long");
}

#[tokio::test]
async fn unavailable_is_not_counted() {
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(GrpcClassifier::new())
        .fallback(Unavailable);
    let mut client = HealthClient::new(layer.layer(channel(serve_health().await)));
    client.check(HealthCheckRequest::default()).await.unwrap();

    breaker.trip();
    for _ in 0..5 {
        let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
    breaker.force_open();
    breaker.resume();
    client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}
