//! How does a consumer of a queue wait while the service that it calls is down, and lose no message?
//!
//! `cargo run -p tower-breaker-recipes --example consumer`
//!
//! It waits for the circuit before it receives, so messages stay in the queue while the circuit is open. A message whose
//! call failed is sent again when the circuit admits the next call. After ten calls it is set aside, because there are
//! messages that make a service fail each time. A long outage does that, too, so send these again later.

use std::time::Duration;

use reqwest::{Client, Error, StatusCode};
use tokio::sync::mpsc;
use tower_breaker::CircuitBreaker;
use tower_breaker_recipes::{Answer, Backend};

pub struct Consumer {
    pub breaker: CircuitBreaker,
    pub client: Client,
    pub url: String,
}

impl Consumer {
    /// Sends each message of the queue to the service, until the queue is closed. Returns the messages that the service
    /// did not take. With a broker, acknowledge a message where `deliver` returns.
    pub async fn run(&self, mut queue: mpsc::Receiver<String>) -> Vec<String> {
        let mut set_aside = Vec::new();
        loop {
            // The permit is dropped, which counts for nothing. While the queue is empty, it would be the slot of a probe
            // that is not made.
            drop(self.breaker.acquire().await);
            let Some(message) = queue.recv().await else { return set_aside };
            if !self.deliver(&message).await {
                set_aside.push(message);
            }
        }
    }

    /// Sends a message until the service has taken or refused it. Returns whether it took the message.
    async fn deliver(&self, message: &str) -> bool {
        for _ in 0..10 {
            let permit = self.breaker.acquire().await;
            match self.send(message).await {
                Err(_) | Ok(StatusCode::TOO_MANY_REQUESTS) => permit.failure(),
                Ok(status) if status.is_server_error() => permit.failure(),
                Ok(status) => {
                    permit.success(); // also if it refuses the message, because the next one may be better
                    return status.is_success();
                }
            }
        }
        false
    }

    async fn send(&self, message: &str) -> Result<StatusCode, Error> {
        let request = self.client.post(&self.url).body(message.to_owned());
        Ok(request.timeout(Duration::from_secs(1)).send().await?.status())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = Backend::start("mailer").await?;
    let breaker = CircuitBreaker::builder("mailer").consecutive_failures(2);
    let breaker = breaker.open_duration(Duration::from_millis(500)).build()?;
    let (sender, queue) = mpsc::channel(100);
    let consumer = Consumer { breaker, client: Client::new(), url: backend.url().to_owned() };
    let consumer = tokio::spawn(async move { consumer.run(queue).await });

    backend.set(Answer::Status(503));
    for number in 1..=5 {
        sender.send(format!("mail {number}")).await?;
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    backend.set(Answer::Status(200));
    drop(sender); // closes the queue
    println!("set aside: {:?}; {} requests for 5 messages", consumer.await?, backend.hits());
    Ok(())
}
