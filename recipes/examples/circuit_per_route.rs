//! One route of my axum server is broken. How do I keep it from taking the others down?
//!
//! `cargo run -p tower-breaker-recipes --example circuit_per_route`
//!
//! Give each route a circuit. Its key is the pattern of the route, such as `/users/{id}`, so identifiers in paths make no
//! circuits of their own. Rejected requests are answered with 503 and `Retry-After`.

use std::convert::Infallible;

use axum::error_handling::HandleErrorLayer;
use axum::extract::{MatchedPath, Path};
use axum::http::{Request, Response, StatusCode};
use axum::{Router, body::Body, routing::get};
use tower::ServiceBuilder;
use tower_breaker::http::{HttpClassifier, Unavailable};
use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, ConfigError};
use tower_breaker_recipes::serve;

/// Gives each route of a router a circuit.
pub fn protect(router: Router, circuits: CircuitBreakerRegistry<String>) -> Router {
    let route = |request: &Request<Body>| {
        let path = request.extensions().get::<MatchedPath>();
        path.map_or("no route", MatchedPath::as_str).to_owned()
    };
    // `route_layer` runs after the route has been found, and not for requests without one.
    router.route_layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(unavailable))
            .layer(KeyedLayer::new(circuits, route).classifier(HttpClassifier::new())),
    )
}

/// Handlers cannot fail, so the only error is a rejection.
async fn unavailable(
    CircuitBreakerError::Rejected(rejected): CircuitBreakerError<Infallible>,
) -> Response<Body> {
    Unavailable::response(rejected)
}

pub fn circuits() -> Result<CircuitBreakerRegistry<String>, ConfigError> {
    let template = CircuitBreaker::builder("routes").consecutive_failures(3);
    CircuitBreakerRegistry::builder(template).capacity(100).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let report = async |_: Path<u32>| (StatusCode::INTERNAL_SERVER_ERROR, "no printer");
    let router = Router::new()
        .route("/users/{id}", get(async |Path(id): Path<u32>| format!("user {id}")))
        .route("/reports/{id}", get(report));
    let circuits = circuits()?;
    let url = serve(protect(router, circuits.clone())).await?;

    for id in 1..=5 {
        let report = reqwest::get(format!("{url}reports/{id}")).await?;
        let user = reqwest::get(format!("{url}users/{id}")).await?;
        println!("report {id}: {}, user {id}: {}", report.status(), user.status());
    }
    for (route, breaker) in circuits.list() {
        println!("{route}: {}", breaker.snapshot());
    }
    Ok(())
}
