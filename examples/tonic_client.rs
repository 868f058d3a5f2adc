//! tonic behind a circuit breaker: the health service, generated already, so that it needs no protoc.
//!
//! ```sh
//! cargo run --example tonic_client --features grpc
//! ```
//!
//! It starts a server on a loopback port and calls it while it is well, while it answers
//! `UNAVAILABLE`, and when it has recovered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Status, body::Body};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tower::{BoxError, ServiceBuilder};
use tower_breaker::grpc::GrpcClassifier;
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Rejected};

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
        .fallback(|_: http::Request<Body>, rejected: Rejected| async move {
            Ok(Status::unavailable(rejected.to_string()).into_http())
        });

    // The timeout of the endpoint is inside, so that what hangs has failed.
    let channel = Endpoint::from_shared(uri)?.timeout(Duration::from_secs(1)).connect_lazy();
    let mut client = HealthClient::new(ServiceBuilder::new().layer(layer).service(channel));

    for step in ["the server is well", "it is down", "it is well again"] {
        println!("{step}");
        down.store(step.ends_with("down"), Ordering::Relaxed);
        for service in ["", "", "unknown", ""] {
            let request = HealthCheckRequest { service: service.to_owned() };
            match client.check(request).await {
                Ok(response) => println!("   {:?}", response.into_inner().status()),
                // An unknown service is an answer of a healthy server.
                Err(status) => println!("   {:?}: {}", status.code(), status.message()),
            }
        }
        // Longer than the breaker is open, so that it lets a call through to probe.
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
