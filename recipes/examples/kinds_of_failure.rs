//! How do I use one rule for refused connections and another one for bad answers?
//!
//! `cargo run -p tower-breaker-recipes --example kinds_of_failure`
//!
//! Use two layers, each with a breaker and a classifier that ignores what is the business of the other one. Two failed
//! connections in a row are enough to stop for a moment. Bad answers have to be half of many calls.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::{Client, Error, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, timeout::error::Elapsed};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Outcome, Rejected};
use tower_breaker_recipes::{Answer, Backend};

pub type HttpClient = BoxCloneSyncService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

pub fn breakers() -> Result<[CircuitBreaker; 2], BoxError> {
    let connections = CircuitBreaker::builder("connections")
        .consecutive_failures(2)
        .open_duration(Duration::from_secs(1));
    let answers = CircuitBreaker::builder("answers").failure_rate_threshold(0.5).minimum_calls(10);
    Ok([connections.build()?, answers.build()?])
}

pub fn client([connections, answers]: [CircuitBreaker; 2]) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_millis(500))); // shorter than that of the call
    let client = ServiceBuilder::new()
        .map_err(CircuitBreakerError::<BoxError>::into_boxed)
        .layer(CircuitBreakerLayer::new(answers).classifier(judge_answer))
        .map_err(CircuitBreakerError::<BoxError>::into_boxed)
        .layer(CircuitBreakerLayer::new(connections).classifier(judge_connection))
        .timeout(Duration::from_secs(1)) // inside, so that a server that hangs has failed
        .service(Client::builder(TokioExecutor::new()).build(connector));
    BoxCloneSyncService::new(client)
}

/// A bad answer has come over a good connection. A call that ran out of time may have looked up a name all the while.
fn judge_connection(result: Result<&Response<Incoming>, &BoxError>) -> Outcome {
    match result {
        Err(error) if could_not_connect(error) => Outcome::Failure,
        Err(error) if error.is::<Elapsed>() => Outcome::Ignored,
        _ => Outcome::Success,
    }
}

fn judge_answer(result: Result<&Response<Incoming>, &BoxError>) -> Outcome {
    match result {
        Err(error) if could_not_connect(error) || error.is::<Rejected>() => Outcome::Ignored,
        Ok(response) if !response.status().is_server_error() => Outcome::Success,
        _ => Outcome::Failure, // a 5xx, a timeout, or a connection that was closed
    }
}

fn could_not_connect(error: &BoxError) -> bool {
    error.downcast_ref().is_some_and(Error::is_connect)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let backend = Backend::start("search").await?;
    backend.set(Answer::Status(500));
    let breakers = breakers()?;
    let client = client(breakers.clone());
    for url in [backend.url(), "http://127.0.0.1:1/"] {
        for _ in 0..5 {
            let answer = client.clone().oneshot(Request::get(url).body(Empty::new())?).await;
            println!("{url}: {:?}", answer.map(|response| response.status()));
        }
        breakers.iter().for_each(|it| println!("   {}: {}", it.name(), it.snapshot()));
    }
    Ok(())
}
