//! Two ways to put reqwest behind a circuit breaker.
//!
//! ```sh
//! cargo run --example reqwest_client --features http
//! ```
//!
//! The example starts a server on a loopback port. It calls the server while it is healthy, while it
//! answers 503 with a `Retry-After` of two seconds, and after these two seconds. Without the `Retry-After`,
//! the circuit would have been open for half a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode, header::RETRY_AFTER};
use axum::response::IntoResponse;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::http::HttpClassifier;
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, HalfOpen, Outcome};
use tower_reqwest::HttpClientLayer;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let busy = Arc::new(AtomicBool::new(false));
    let url = start_server(busy.clone()).await?;
    let breaker = CircuitBreaker::builder("hello")
        .consecutive_failures(2)
        .open_duration(Duration::from_millis(500))
        .half_open(HalfOpen::consecutive_successes(1))
        .on_transition(|transition| println!("   {transition}"))
        .build()?;
    // The timeout is inside the breaker, so that a server that hangs counts as a failure.
    let reqwest = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build()?;

    // With tower-reqwest, requests and responses are those of the `http` crate, so that `HttpClassifier`
    // can be used.
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()).classifier(HttpClassifier::new()))
        .layer(HttpClientLayer)
        .service(reqwest.clone());

    let mut wait = Duration::ZERO;
    for step in ["the server is healthy", "it is busy", "it is healthy again"] {
        println!("{step}");
        busy.store(step.ends_with("busy"), Ordering::Relaxed);
        tokio::time::sleep(wait).await; // an earlier call would be rejected
        for _ in 0..4 {
            let request = Request::get(&url).body(reqwest::Body::default())?;
            match client.ready().await?.call(request).await {
                Ok(response) => println!("   answered {}", response.status()),
                Err(CircuitBreakerError::Rejected(rejected)) => {
                    println!("   {rejected}");
                    wait = rejected.retry_after().unwrap_or_default();
                }
                Err(CircuitBreakerError::Inner(error)) => println!("   failed: {error}"),
            }
        }
    }

    println!("reqwest's own types, with a function as the classifier");
    let layer = CircuitBreakerLayer::new(breaker).classifier(outcome); // the same circuit
    let client = ServiceBuilder::new().layer(layer).service(reqwest);
    let request = reqwest::Request::new(reqwest::Method::GET, url.parse()?);
    println!("   answered {}", client.oneshot(request).await?.text().await?);
    Ok(())
}

/// Classifies reqwest's own types. A request that cannot be built is not the fault of the server.
fn outcome(result: Result<&reqwest::Response, &reqwest::Error>) -> Outcome {
    match result {
        Ok(response) if response.status().is_server_error() => Outcome::Failure,
        Ok(_) => Outcome::Success,
        Err(error) if error.is_builder() => Outcome::Ignored,
        Err(_) => Outcome::Failure,
    }
}

async fn start_server(busy: Arc<AtomicBool>) -> Result<String, BoxError> {
    let answer = async move || match busy.load(Ordering::Relaxed) {
        true => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "2")]).into_response(),
        false => "hello".into_response(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
