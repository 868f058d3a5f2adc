//! What a caller of tonic sees when the call is turned away.

use std::error::Error;

use http::Request;
use tonic::Code;
use tonic::Status;
use tonic::body::Body;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Layer;
use tower_breaker::grpc::GrpcClassifier;
use tower_breaker::{CircuitBreakerLayer, RejectReason, Rejected, State};

use crate::servers::serve_health;
use crate::{breaker, channel, check, client};

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
async fn a_fallback_makes_it_a_status_and_is_not_counted() {
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(GrpcClassifier::new())
        .fallback(|_: Request<Body>, rejected: Rejected| async move {
            Ok(Status::unavailable(rejected.to_string()).into_http())
        });
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
