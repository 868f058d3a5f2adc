//! How do I add a circuit breaker to a client of reqwest-middleware, and where, if there are retries?
//!
//! `cargo run -p tower-breaker-recipes --example reqwest_middleware`
//!
//! The first middleware is the outermost. Add retries before the breaker, so that each attempt is counted, and do not
//! retry a rejection: `rejected` finds it in an error.

use std::time::Duration;

use http::Extensions;
use reqwest::{Client, Request, Response};
use reqwest_middleware::{ClientBuilder, Error, Middleware, Next, Result};
use tower_breaker::http::retry_after;
use tower_breaker::{CircuitBreaker, CircuitBreakerError, Outcome, Rejected};
use tower_breaker_recipes::{Answer, Backend};

pub struct Breaker(pub CircuitBreaker);

#[async_trait::async_trait]
impl Middleware for Breaker {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let answer = self.0.call_with(next.run(request, extensions), outcome).await;
        answer.map_err(|error| match error {
            CircuitBreakerError::Rejected(rejected) => Error::middleware(rejected),
            CircuitBreakerError::Inner(error) => error,
        })
    }
}

fn outcome(result: &Result<Response>) -> Outcome {
    match result {
        Ok(response) if response.status().is_server_error() => {
            match retry_after(response.headers()) {
                Some(wait) => Outcome::FailureRetryAfter(wait),
                None => Outcome::Failure,
            }
        }
        Ok(_) => Outcome::Success,
        Err(Error::Reqwest(error)) if !error.is_builder() => Outcome::Failure,
        Err(_) => Outcome::Ignored, // the request could not be built, or another middleware failed
    }
}

/// Returns the rejection if the request was not sent because the circuit was open.
pub fn rejected(error: &Error) -> Option<&Rejected> {
    match error {
        Error::Middleware(error) => error.downcast_ref(),
        Error::Reqwest(_) => None,
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let backend = Backend::start("catalogue").await?;
    backend.set(Answer::Status(500));
    let breaker = CircuitBreaker::builder("catalogue").consecutive_failures(2).build()?;
    // The timeout of the client is inside of all middleware, so that a server that hangs has failed.
    let client = Client::builder().timeout(Duration::from_secs(1)).build()?;
    let client = ClientBuilder::new(client).with(Breaker(breaker)).build();
    for _ in 0..3 {
        match client.get(backend.url()).send().await {
            Ok(response) => println!("answered {}", response.status()),
            Err(error) if rejected(&error).is_some() => println!("not sent: {error}"),
            Err(error) => println!("failed: {error}"),
        }
    }
    Ok(())
}
