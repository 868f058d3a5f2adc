//! What to do instead of a failed call: a replica takes the orders that were not sent, and an apology
//! answers those that may have been.
//!
//! ```sh
//! cargo run --example fallback --features http
//! ```
//!
//! The fallback of the layer answers rejected calls. They were never sent, so even an order may go to the
//! replica, and its request is still complete. A call that failed may have been executed. It must not be
//! sent again, and does not go to the fallback. tower's `then`, outside the breaker, handles it.

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::{Client, Error, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::http::HttpClassifier;
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Rejected};

type HttpClient = Client<HttpConnector, Body>;
type Answer = Result<Response<Body>, CircuitBreakerError<Error>>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let primary = start_server("the primary", StatusCode::INTERNAL_SERVER_ERROR).await?;
    let replica = start_server("the replica", StatusCode::OK).await?;
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();

    let breaker = CircuitBreaker::builder("orders")
        .consecutive_failures(2)
        .on_transition(|transition| println!("   {transition}"))
        .build()?;
    let spare = client.clone();
    let to_replica = move |mut order: Request<Body>, _: Rejected| {
        *order.uri_mut() = replica.parse().expect("it is the address of a server");
        let answer = spare.request(order);
        async { Ok(answer.await.map_err(CircuitBreakerError::Inner)?.map(Body::new)) }
    };
    let layer =
        CircuitBreakerLayer::new(breaker).classifier(HttpClassifier::new()).fallback(to_replica);
    let mut orders = ServiceBuilder::new()
        .then(apologize)
        .layer(layer)
        .map_response(|response: Response<_>| response.map(Body::new))
        .service(client);

    for item in ["tea", "milk", "sugar", "scones"] {
        let order = Request::post(&primary).body(Body::from(format!("one {item}, please")))?;
        let response = orders.ready().await?.call(order).await?;
        let text = response.into_body().collect().await?.to_bytes();
        println!("   {}", String::from_utf8_lossy(&text));
    }
    Ok(())
}

/// Answers calls that failed, because nobody knows whether they were executed.
async fn apologize(answer: Answer) -> Answer {
    match answer {
        Ok(response) if response.status().is_server_error() => {
            Ok(Response::new("sorry, please look up whether it was ordered".into()))
        }
        answer => answer,
    }
}

async fn start_server(name: &'static str, status: StatusCode) -> Result<String, BoxError> {
    let answer = async move |order: String| {
        println!("   {name} got an order for {order:?} and answers {status}");
        (status, format!("ordered from {name}"))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
