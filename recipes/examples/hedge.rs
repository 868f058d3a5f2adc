//! How do hedged requests and circuit breakers fit together?
//!
//! `cargo run -p tower-breaker-recipes --example hedge`
//!
//! If the first replica has not answered after a while, the second one is asked as well, and the faster answer wins. Each
//! replica has a breaker. A replica that always loses is dropped before it answers, which counts for nothing by default:
//! `abandoned_after` makes it a failure, so that a replica that hangs is no longer asked first.

use std::time::Duration;

use reqwest::{Client, Response};
use tokio::time::sleep;
use tower::BoxError;
use tower_breaker::{CircuitBreaker, ConfigError};
use tower_breaker_recipes::{Answer, Backend};

/// When to ask the second replica: about what the slowest twentieth of the answers takes.
pub const DELAY: Duration = Duration::from_millis(100);

pub struct Replica {
    url: String,
    pub breaker: CircuitBreaker,
    client: Client,
}

impl Replica {
    pub fn new(name: &str, url: &str, client: Client) -> Result<Self, ConfigError> {
        let breaker = CircuitBreaker::builder(name)
            .consecutive_failures(3)
            .abandoned_after(DELAY) // a call that lost the race after it had this head start
            .build()?;
        Ok(Self { url: url.to_owned(), breaker, client })
    }

    async fn get(&self) -> Result<Response, BoxError> {
        let request = self.client.get(&self.url).timeout(Duration::from_secs(1));
        let answer = async { request.send().await?.error_for_status() };
        Ok(self.breaker.call(answer).await?)
    }
}

/// Asks the first replica, and the second one if that takes long, fails, or is rejected.
pub async fn hedged(first: &Replica, second: &Replica) -> Result<Response, BoxError> {
    let mut one = Box::pin(first.get());
    tokio::select! {
        answer = &mut one => match answer {
            Ok(response) => return Ok(response),
            Err(_) => return second.get().await,
        },
        () = sleep(DELAY) => {}
    }
    let mut two = Box::pin(second.get());
    tokio::select! {
        answer = &mut one => match answer { Ok(response) => Ok(response), Err(_) => two.await },
        answer = &mut two => match answer { Ok(response) => Ok(response), Err(_) => one.await },
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (north, south) = (Backend::start("north").await?, Backend::start("south").await?);
    let client = Client::new();
    let first = Replica::new("north", north.url(), client.clone())?;
    let second = Replica::new("south", south.url(), client)?;

    north.set(Answer::Silence);
    for _ in 0..5 {
        let answer = hedged(&first, &second).await?.text().await?;
        println!("answered by {answer}. north: {}", first.breaker.snapshot());
    }
    println!("north was asked {} times", north.hits());
    Ok(())
}
