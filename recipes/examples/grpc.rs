//! What does a tonic server answer when the service that it calls is down?
//!
//! `cargo run -p tower-breaker-recipes --example grpc`
//!
//! `UNAVAILABLE`, at once, with `grpc-retry-pushback-ms`: the breaker of its client makes this status, and the server
//! passes it on. The service here is that of health checks, because its code is already generated.

use std::time::Duration;

use tonic::codegen::BoxStream;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::{BoxError, ServiceBuilder};
use tower_breaker::grpc::{GrpcClassifier, Unavailable};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, CircuitBreakerService};

pub type Client = HealthClient<CircuitBreakerService<Channel, GrpcClassifier, Unavailable>>;

pub fn client(uri: String, breaker: CircuitBreaker) -> Result<Client, tonic::transport::Error> {
    let layer =
        CircuitBreakerLayer::new(breaker).classifier(GrpcClassifier::new()).fallback(Unavailable); // otherwise a rejection has the code `Unknown`
    // The timeout of the endpoint is inside the breaker, so that a call that hangs has failed.
    let channel = Endpoint::from_shared(uri)?.timeout(Duration::from_secs(1)).connect_lazy();
    Ok(HealthClient::new(ServiceBuilder::new().layer(layer).service(channel)))
}

/// A server that asks another one.
pub struct FrontEnd(pub Client);

#[tonic::async_trait]
impl Health for FrontEnd {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.0.clone().check(request.into_inner()).await
    }

    type WatchStream = BoxStream<HealthCheckResponse>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only `check`"))
    }
}

pub async fn serve(service: impl Health) -> std::io::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", listener.local_addr()?);
    let server = Server::builder().add_service(HealthServer::new(service));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(uri)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let breaker = CircuitBreaker::builder("back end").consecutive_failures(2).build()?;
    let nobody = tokio::net::TcpSocket::new_v4()?; // a port on which nothing listens
    nobody.bind("127.0.0.1:0".parse()?)?;
    let front_end = FrontEnd(client(format!("http://{}", nobody.local_addr()?), breaker)?);
    let channel = Endpoint::from_shared(serve(front_end).await?)?.connect().await?;
    let mut caller = HealthClient::new(channel);
    for _ in 0..4 {
        let status = caller.check(HealthCheckRequest::default()).await.unwrap_err();
        println!("{:?}: {}", status.code(), status.message());
        println!("   {:?}", status.metadata().get("grpc-retry-pushback-ms"));
    }
    Ok(())
}
