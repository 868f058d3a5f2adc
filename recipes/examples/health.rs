//! What should a health endpoint say while a circuit is open?
//!
//! `cargo run -p tower-breaker-recipes --example health`
//!
//! 200, and *degraded* in the body. If it said 503, the load balancer would take the instance out, and without requests
//! nobody would make the call that lets the circuit recover. If all instances share the dependency, all would be out.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use tower_breaker::CircuitBreaker;
use tower_breaker_recipes::serve;

/// Serves `/health`, for load balancers and for people.
pub fn health(breakers: impl Into<Arc<[CircuitBreaker]>>) -> Router {
    Router::new().route("/health", get(report)).with_state(breakers.into())
}

async fn report(State(breakers): State<Arc<[CircuitBreaker]>>) -> Json<Value> {
    let mut status = "ok";
    let mut circuits = Vec::new();
    for breaker in &*breakers {
        let snapshot = breaker.snapshot(); // looking moves nothing
        if snapshot.admitted_share() < 1.0 {
            status = "degraded";
        }
        circuits.push(json!({
            "name": breaker.name(),
            "state": snapshot.state().name(),
            "explanation": snapshot.to_string(),
            "retry_after_ms": snapshot.retry_after().map(|wait| wait.as_millis() as u64),
        }));
    }
    Json(json!({ "status": status, "circuits": circuits }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let payments = CircuitBreaker::new("payments");
    let search =
        CircuitBreaker::builder("search").open_duration(Duration::from_secs(30)).build()?;
    let url = serve(health([payments, search.clone()])).await?;

    println!("{}", reqwest::get(format!("{url}health")).await?.text().await?);
    search.trip();
    let response = reqwest::get(format!("{url}health")).await?;
    println!("{}: {}", response.status(), response.text().await?);
    Ok(())
}
