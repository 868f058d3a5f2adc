//! A client that talks to many hosts, with one circuit for each.
//!
//! ```sh
//! cargo run --example one_circuit_per_host --features http,keyed
//! ```
//!
//! The example starts three servers on loopback ports, one of which always fails, and also calls a port
//! where nobody listens. The circuits of the two failing hosts open. The other two are not affected.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::http::HttpClassifier;
use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
use tower_breaker::{CircuitBreaker, CircuitBreakerError};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let hosts = [
        start_server(StatusCode::OK).await?,
        start_server(StatusCode::BAD_GATEWAY).await?,
        start_server(StatusCode::NOT_FOUND).await?,
        dead_port().await?,
    ];

    // A circuit is created from the template when a host is first called.
    let template = CircuitBreaker::builder("http").consecutive_failures(3);
    let circuits = CircuitBreakerRegistry::builder(template)
        .capacity(1000) // larger than the number of hosts in use
        .idle_timeout(Duration::from_secs(600))
        .build()?;
    let mut client = ServiceBuilder::new()
        .layer(KeyedLayer::by_host(circuits.clone()).classifier(HttpClassifier::new()))
        .service(Client::builder(TokioExecutor::new()).build_http::<Body>());

    for round in 1..=4 {
        println!("round {round}");
        for host in &hosts {
            let request = Request::get(format!("http://{host}/")).body(Body::empty())?;
            match client.ready().await?.call(request).await {
                Ok(response) => println!("   {host} answered {}", response.status()),
                Err(CircuitBreakerError::Rejected(rejected)) => println!("   {rejected}"),
                Err(CircuitBreakerError::Inner(error)) => println!("   {host} failed: {error}"),
            }
        }
    }

    println!("what an operator sees");
    for (host, breaker) in circuits.list() {
        println!("   {host}: {}", breaker.snapshot());
    }

    println!("and does");
    let broken = circuits.get(&hosts[1].as_str().into()).expect("it was used just now");
    broken.reset();
    println!("   {}: {}", broken.name(), broken.state());
    Ok(())
}

async fn start_server(status: StatusCode) -> Result<String, BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    let router = Router::new().fallback(async move || status);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(host)
}

/// Returns an address at which nobody listens.
async fn dead_port() -> Result<String, BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    Ok(listener.local_addr()?.to_string())
}
