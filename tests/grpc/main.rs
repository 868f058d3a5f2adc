//! How gRPC calls are classified, with tonic's clients and servers on real sockets, and with servers that do
//! not speak gRPC.

#![cfg(feature = "grpc")]

mod as_a_layer;
mod layers;
mod pushbacks;
mod rejections;
mod servers;
mod statuses;
mod streams;

use std::net::SocketAddr;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Layer;
use tower_breaker::grpc::GrpcClassifier;
use tower_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, CircuitBreakerService, HalfOpen,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A circuit that trips at the second consecutive failure, stays open, and closes after one probe. It also
/// counts calls.
fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("health")
        .consecutive_failures(2)
        .failure_rate_threshold(1.0)
        .minimum_calls(1000)
        .open_duration(HOUR)
        .half_open(HalfOpen::consecutive_successes(1))
        .probe_timeout(HOUR)
}

fn breaker() -> CircuitBreaker {
    builder().build().unwrap()
}

/// Returns how many calls were recorded, and how many of them as failures.
fn recorded(breaker: &CircuitBreaker) -> (u64, u64) {
    let snapshot = breaker.snapshot();
    (snapshot.calls(), snapshot.failures())
}

type Client = HealthClient<CircuitBreakerService<Channel, GrpcClassifier>>;

fn client(breaker: &CircuitBreaker, address: SocketAddr) -> Client {
    client_with(GrpcClassifier::new(), breaker, address)
}

fn client_with(
    classifier: GrpcClassifier,
    breaker: &CircuitBreaker,
    address: SocketAddr,
) -> Client {
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    HealthClient::new(layer.layer(channel(address)))
}

fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

/// Makes a unary call.
async fn check(client: &mut Client) -> Result<(), Status> {
    client.check(HealthCheckRequest::default()).await.map(drop)
}

/// Makes a streaming call and reads the stream to its end.
async fn watch(client: &mut Client) -> Result<(), Status> {
    let mut stream = client.watch(HealthCheckRequest::default()).await?.into_inner();
    while stream.message().await?.is_some() {}
    Ok(())
}

/// Returns whether a call was rejected, according to the source of its error.
fn is_rejection(status: &Status) -> bool {
    let source = std::error::Error::source(status);
    status.code() == Code::Unknown && source.is_some_and(|it| it.is::<tower_breaker::Rejected>())
}
