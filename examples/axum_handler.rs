//! An axum server that calls another service through a circuit breaker.
//!
//! ```sh
//! cargo run --example axum_handler --features http
//! ```
//!
//! When the breaker rejects a call, `/price` answers 503 with `Retry-After`, and `/price-or-cached`
//! answers with the last price that it knows. The example starts both servers on loopback ports. It sends
//! requests while the other service is healthy, while it is down, and after it has recovered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tower::BoxError;
use tower_breaker::http::Unavailable;
use tower_breaker::{CircuitBreaker, CircuitBreakerError};

type HttpClient = Client<HttpConnector, Empty<Bytes>>;
type PriceError = CircuitBreakerError<BoxError>;

/// The state of the server. It has one breaker, for the one service that it depends on.
#[derive(Clone)]
struct Shop {
    breaker: CircuitBreaker,
    client: HttpClient,
    prices: Uri,
    last_price: Arc<Mutex<Option<String>>>,
}

async fn ask_price(shop: &Shop) -> Result<String, PriceError> {
    // The timeout is inside the breaker, so that a call that hangs counts as a failure.
    let fetch = tokio::time::timeout(Duration::from_secs(1), fetch(&shop.client, &shop.prices));
    let price = shop.breaker.call(async { fetch.await? }).await?;
    *shop.last_price.lock().expect("no panic with the lock held") = Some(price.clone());
    Ok(price)
}

async fn price(State(shop): State<Shop>) -> Response {
    ask_price(&shop).await.map_err(error_response).into_response()
}

async fn price_or_cached(State(shop): State<Shop>) -> Response {
    let price = ask_price(&shop).await;
    let last = shop.last_price.lock().expect("no panic with the lock held").clone();
    match (price, last) {
        (Err(CircuitBreakerError::Rejected(_)), Some(last)) => {
            format!("{last} (cached)").into_response()
        }
        (price, _) => price.map_err(error_response).into_response(),
    }
}

fn error_response(error: PriceError) -> Response {
    match error {
        CircuitBreakerError::Rejected(rejected) => Unavailable::response(rejected),
        CircuitBreakerError::Inner(error) => {
            (StatusCode::BAD_GATEWAY, format!("no price: {error}")).into_response()
        }
    }
}

/// Asks the price service. A 5xx becomes an error, so that it counts as a failure.
async fn fetch(client: &HttpClient, uri: &Uri) -> Result<String, BoxError> {
    let response = client.get(uri.clone()).await?;
    if response.status().is_server_error() {
        return Err(format!("the price service answered {}", response.status()).into());
    }
    Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().into())?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let down = Arc::new(AtomicBool::new(false));
    let prices =
        start(Router::new().route("/", get(price_service)).with_state(down.clone())).await?;

    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    let breaker = CircuitBreaker::builder("prices")
        .consecutive_failures(3)
        .open_duration(Duration::from_millis(1500))
        .on_transition(|transition| println!("   {transition}"))
        .build()?;
    let (prices, last_price) = (prices.parse()?, Arc::default());
    let shop = Shop { breaker, client: client.clone(), prices, last_price };
    let routes =
        Router::new().route("/price", get(price)).route("/price-or-cached", get(price_or_cached));
    let uri = start(routes.with_state(shop)).await?;

    for step in ["the price service is healthy", "it is down", "it is healthy again"] {
        println!("{step}");
        down.store(step.ends_with("down"), Ordering::Relaxed);
        for path in ["price", "price", "price", "price", "price-or-cached"] {
            let response = client.get(format!("{uri}{path}").parse()?).await?;
            println!("   GET /{path}: {}", response.status());
            if let Some(seconds) = response.headers().get(RETRY_AFTER) {
                println!("      Retry-After: {}", seconds.to_str()?);
            }
            let body = response.into_body().collect().await?.to_bytes();
            println!("      {}", String::from_utf8_lossy(&body));
        }
        // This is longer than the open duration, so the next call is a probe.
        tokio::time::sleep(Duration::from_millis(1600)).await;
    }
    Ok(())
}

async fn price_service(State(down): State<Arc<AtomicBool>>) -> Result<&'static str, StatusCode> {
    if down.load(Ordering::Relaxed) {
        Err(StatusCode::INTERNAL_SERVER_ERROR)
    } else {
        Ok("9.99 €")
    }
}

async fn start(router: Router) -> Result<String, BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(uri)
}
