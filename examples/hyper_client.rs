//! The smallest HTTP client behind a circuit breaker: hyper-util's client, a timeout, the breaker.
//!
//! ```sh
//! cargo run --example hyper_client
//! ```
//!
//! It starts a server on a loopback port and calls it while it is well, while it answers 500 until
//! the breaker opens, and when it has recovered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::{Router, routing::get};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Outcome};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let broken = Arc::new(AtomicBool::new(false));
    let uri = start_server(broken.clone()).await?;

    let breaker = CircuitBreaker::builder("hello")
        .consecutive_failures(3)
        .open_duration(Duration::from_millis(500))
        .on_transition(|transition| println!("   {transition}"))
        .build()?;

    // The timeout is inside, so that to the breaker a server that hangs is one that fails.
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker).classifier(server_errors))
        .timeout(Duration::from_secs(1))
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());

    for step in ["the server is well", "the server is broken", "the server is well again"] {
        println!("{step}");
        broken.store(step.ends_with("broken"), Ordering::Relaxed);
        for _ in 0..5 {
            let request = Request::get(&uri).body(Empty::new())?;
            match client.ready().await?.call(request).await {
                Ok(response) => {
                    let status = response.status();
                    let body = response.into_body().collect().await?.to_bytes();
                    println!("   answered {status}: {}", String::from_utf8_lossy(&body));
                }
                Err(CircuitBreakerError::Rejected(rejected)) => println!("   {rejected}"),
                Err(CircuitBreakerError::Inner(error)) => println!("   failed: {error}"),
            }
        }
        // Longer than the breaker is open, so that it lets a call through to probe.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    Ok(())
}

/// To hyper a 500 is a response like any other; this makes it a failure. A closure works as well.
fn server_errors(result: Result<&Response<Incoming>, &BoxError>) -> Outcome {
    match result {
        Ok(response) if response.status().is_server_error() => Outcome::Failure,
        Ok(_) => Outcome::Success,
        Err(_) => Outcome::Failure,
    }
}

async fn start_server(broken: Arc<AtomicBool>) -> Result<String, BoxError> {
    let answer = async move || match broken.load(Ordering::Relaxed) {
        true => (StatusCode::INTERNAL_SERVER_ERROR, "out of order"),
        false => (StatusCode::OK, "hello"),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().route("/", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(uri)
}
