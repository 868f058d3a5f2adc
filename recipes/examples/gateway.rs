//! How do I mount a client behind a circuit breaker in axum, which only takes services that cannot fail?
//!
//! `cargo run -p tower-breaker-recipes --example gateway`
//!
//! `HandleErrorLayer`, outside the breaker, turns every error into a response: a rejection into 503 with `Retry-After`, a
//! timeout into 504, and any other error into 502.

use std::convert::Infallible;
use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::{Router, body::Body};
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder};
use tower_breaker::http::{HttpClassifier, Unavailable};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer};
use tower_breaker_recipes::{Answer, Backend, serve};

/// Returns a service that sends requests to another server, with their path and query as they are.
pub fn forward_to(
    upstream: Uri,
    breaker: CircuitBreaker,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let readdress = move |mut request: Request<Body>| {
        let mut parts = upstream.clone().into_parts();
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() =
            Uri::from_parts(parts).expect("all parts are those of valid addresses");
        request
    };
    ServiceBuilder::new()
        .layer(HandleErrorLayer::new(error_response))
        .layer(CircuitBreakerLayer::new(breaker).classifier(HttpClassifier::new()))
        .timeout(Duration::from_millis(500)) // inside, so that a server that hangs has failed
        .map_request(readdress)
        .map_response(|response: Response<Incoming>| response.map(Body::new))
        .service(Client::builder(TokioExecutor::new()).build_http::<Body>())
}

async fn error_response(error: CircuitBreakerError<BoxError>) -> Response<Body> {
    let status = match error {
        CircuitBreakerError::Rejected(rejected) => return Unavailable::response(rejected),
        CircuitBreakerError::Inner(error) if error.is::<Elapsed>() => StatusCode::GATEWAY_TIMEOUT,
        CircuitBreakerError::Inner(_) => StatusCode::BAD_GATEWAY,
    };
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let orders = Backend::start("orders").await?;
    let breaker = CircuitBreaker::builder("orders").consecutive_failures(2).build()?;
    let router =
        Router::new().route_service("/orders/{*path}", forward_to(orders.url().parse()?, breaker));
    let gateway = serve(router).await?;
    for answer in [Answer::Status(200), Answer::Status(500), Answer::Silence, Answer::Silence] {
        orders.set(answer);
        let response = reqwest::get(format!("{gateway}orders/7?full")).await?;
        println!("orders: {answer:?}, gateway: {} {:?}", response.status(), response.headers());
    }
    Ok(())
}
