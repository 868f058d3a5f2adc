//! A breaker as a layer of a tonic server, and calls by way of gRPC-Web.

use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tonic_web::{GrpcWebClientLayer, GrpcWebLayer};
use tower::ServiceBuilder;
use tower_breaker::grpc::{GrpcClassifier, Unavailable};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, State};

use crate::servers::{Ending, Endless, serve_router};
use crate::{breaker, builder, channel, recorded};

/// For timeouts that are meant to expire.
const SOON: Duration = Duration::from_millis(20);

fn layer(breaker: &CircuitBreaker) -> CircuitBreakerLayer<GrpcClassifier> {
    CircuitBreakerLayer::new(breaker.clone()).classifier(GrpcClassifier::new())
}

async fn check(address: SocketAddr) -> Result<(), Status> {
    let mut client = HealthClient::new(channel(address));
    client.check(HealthCheckRequest::default()).await.map(drop)
}

// ---- a tonic server ---------------------------------------------------------------------------

#[tokio::test]
async fn a_breaker_around_the_services_of_a_server_answers_for_them_with_unavailable() {
    let breaker = breaker();
    let server = Server::builder()
        .layer(layer(&breaker).fallback(Unavailable))
        .add_service(HealthServer::new(Ending(Status::internal("bug"))));
    let address = serve_router(server).await;
    for _ in 0..2 {
        assert_eq!(check(address).await.unwrap_err().code(), Code::Internal);
    }
    assert_eq!(breaker.state(), State::Open);
    for _ in 0..3 {
        let status = check(address).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));
    }
    assert_eq!(recorded(&breaker), (2, 2));
}

#[tokio::test]
async fn without_a_fallback_a_server_resets_the_streams_of_rejected_calls() {
    let breaker = breaker();
    let server = Server::builder()
        .layer(layer(&breaker))
        .add_service(HealthServer::new(Ending(Status::ok(""))));
    let address = serve_router(server).await;
    check(address).await.unwrap();
    breaker.trip();
    let status = check(address).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
}

#[tokio::test]
async fn the_timeout_of_the_server_is_outside_so_it_needs_abandoned_after() {
    for (builder, expected) in
        [(builder(), (0, 0)), (builder().abandoned_after(Duration::from_nanos(1)), (1, 1))]
    {
        let breaker = builder.build().unwrap();
        let server = Server::builder()
            .timeout(SOON)
            .layer(layer(&breaker))
            .add_service(HealthServer::new(Endless));
        let address = serve_router(server).await;
        assert_eq!(check(address).await.unwrap_err().code(), Code::Cancelled);
        assert_eq!(recorded(&breaker), expected);
    }
}

// ---- gRPC-Web ---------------------------------------------------------------------------------

/// Starts a server that speaks gRPC-Web.
async fn serve_web(status: Status) -> http::Uri {
    let server = Server::builder()
        .accept_http1(true)
        .layer(GrpcWebLayer::new())
        .add_service(HealthServer::new(Ending(status)));
    format!("http://{}", serve_router(server).await).parse().unwrap()
}

#[tokio::test]
async fn a_grpc_web_layer_inside_makes_the_trailers_that_the_classifier_reads() {
    for (status, expected) in [(Status::ok(""), (1, 0)), (Status::unavailable("down"), (1, 1))] {
        let breaker = breaker();
        let client = ServiceBuilder::new()
            .layer(layer(&breaker))
            .layer(GrpcWebClientLayer::new())
            .service(Client::builder(TokioExecutor::new()).build_http());
        let mut client = HealthClient::with_origin(client, serve_web(status).await);
        let _ = client.check(HealthCheckRequest::default()).await;
        assert_eq!(recorded(&breaker), expected);
    }
}

#[tokio::test]
async fn with_a_grpc_web_layer_outside_the_status_goes_unseen() {
    let breaker = breaker();
    let client = ServiceBuilder::new()
        .layer(GrpcWebClientLayer::new())
        .layer(layer(&breaker))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let origin = serve_web(Status::unavailable("down")).await;
    let mut client = HealthClient::with_origin(client, origin);
    let mut stream = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    assert_eq!(stream.message().await.unwrap_err().code(), Code::Unavailable);
    drop(stream);
    assert_eq!(recorded(&breaker), (0, 0), "the status was in a frame of the body");
}

#[tokio::test]
async fn on_a_server_the_grpc_web_layer_belongs_outside() {
    let breaker = breaker();
    let server = Server::builder()
        .accept_http1(true)
        .layer(GrpcWebLayer::new())
        .layer(layer(&breaker))
        .add_service(HealthServer::new(Ending(Status::ok(""))));
    let origin = format!("http://{}", serve_router(server).await).parse().unwrap();
    let client = ServiceBuilder::new()
        .layer(GrpcWebClientLayer::new())
        .service(Client::builder(TokioExecutor::new()).build_http());
    let mut client = HealthClient::with_origin(client, origin);
    client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(recorded(&breaker), (1, 0));
}
