//! A tonic client behind a circuit breaker. It calls the health service, whose code is already generated,
//! so that the example needs no protoc.
//!
//! ```sh
//! cargo run --example tonic_client --features grpc
//! ```
//!
//! The example starts a server on a loopback port. It calls the server while it is healthy, while it
//! answers `UNAVAILABLE`, and after it has recovered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tower::{BoxError, ServiceBuilder};
use tower_breaker::grpc::{GrpcClassifier, Unavailable};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let down = Arc::new(AtomicBool::new(false));
    let uri = start_server(down.clone()).await?;

    let breaker = CircuitBreaker::builder("health")
        .consecutive_failures(2)
        .open_duration(Duration::from_millis(500))
        .on_transition(|transition| println!("   {transition}"))
        .build()?;
    let layer = CircuitBreakerLayer::new(breaker)
        .classifier(GrpcClassifier::new())
        // Without it, a rejection is a `Status` with the code `Unknown`.
        .fallback(Unavailable);

    // The timeout of the endpoint is inside the breaker, so that a call that hangs counts as a failure.
    let channel = Endpoint::from_shared(uri)?.timeout(Duration::from_secs(1)).connect_lazy();
    let mut client = HealthClient::new(ServiceBuilder::new().layer(layer).service(channel));

    for step in ["the server is healthy", "it is down", "it is healthy again"] {
        println!("{step}");
        down.store(step.ends_with("down"), Ordering::Relaxed);
        for service in ["", "", "unknown", ""] {
            let request = HealthCheckRequest { service: service.to_owned() };
            match client.check(request).await {
                Ok(response) => println!("   {:?}", response.into_inner().status()),
                // `NotFound` does not count as a failure, because a healthy server sends it.
                Err(status) => println!("   {:?}: {}", status.code(), status.message()),
            }
        }
        // This is longer than the open duration, so the next call is a probe.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    Ok(())
}

async fn start_server(down: Arc<AtomicBool>) -> Result<String, BoxError> {
    let answer = move |request: Request<()>| match down.load(Ordering::Relaxed) {
        true => Err(Status::unavailable("out of order")),
        false => Ok(request),
    };
    let (reporter, _) = tonic_health::server::health_reporter();
    let service =
        HealthServer::with_interceptor(HealthService::from_health_reporter(reporter), answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    Ok(uri)
}
