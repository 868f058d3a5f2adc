//! A minimal HTTP client behind a circuit breaker: hyper-util's client, a timeout, and the breaker.
//!
//! ```sh
//! cargo run --example hyper_client
//! ```
//!
//! The example starts a server on a loopback port. It calls the server while it is healthy, while it
//! answers 500 until the breaker opens, and after it has recovered.

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

    // The timeout is inside the breaker, so that a server that hangs counts as a failure.
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker).classifier(server_errors))
        .timeout(Duration::from_secs(1))
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());

    for step in ["the server is healthy", "the server is broken", "the server is healthy again"] {
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
        // This is longer than the open duration, so the next call is a probe.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    Ok(())
}

/// Counts a 5xx as a failure. To hyper it is a response like any other. A closure works as well, and the
/// feature `http` has a ready-made classifier.
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
