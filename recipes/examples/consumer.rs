//! How does a consumer of a queue wait while the service that it calls is down, and lose no message?
//!
//! `cargo run -p tower-breaker-recipes --example consumer`
//!
//! It waits for the circuit before it receives, so messages stay in the queue while the circuit is open. A message whose
//! call failed is kept and sent again when the circuit admits the next call.

use std::time::Duration;

use reqwest::{Client, Error, StatusCode};
use tokio::sync::mpsc;
use tower_breaker::{CircuitBreaker, HalfOpen};
use tower_breaker_recipes::{Answer, Backend};

pub struct Consumer {
    pub breaker: CircuitBreaker,
    pub client: Client,
    pub url: String,
}

impl Consumer {
    /// Sends each message of the queue to the service, until the queue is closed. Returns the messages that the service
    /// refused. With a broker, acknowledge a message where `deliver` returns.
    pub async fn run(&self, mut queue: mpsc::Receiver<String>) -> Vec<String> {
        let mut refused = Vec::new();
        loop {
            // The permit is dropped, which counts for nothing. While the queue is empty, it would be the slot of a probe
            // that is not made.
            drop(self.breaker.acquire().await);
            let Some(message) = queue.recv().await else { return refused };
            if !self.deliver(&message).await {
                refused.push(message);
            }
        }
    }

    /// Sends a message until the service has answered. Returns whether it took the message.
    async fn deliver(&self, message: &str) -> bool {
        loop {
            let permit = self.breaker.acquire().await;
            match self.send(message).await {
                Ok(status) if !status.is_server_error() => {
                    permit.success(); // also if it refuses the message, because the next one may be better
                    return status.is_success();
                }
                _ => permit.failure(),
            }
        }
    }

    async fn send(&self, message: &str) -> Result<StatusCode, Error> {
        let request = self.client.post(&self.url).body(message.to_owned());
        Ok(request.timeout(Duration::from_secs(1)).send().await?.status())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = Backend::start("mailer").await?;
    let breaker = CircuitBreaker::builder("mailer")
        .consecutive_failures(2)
        .open_duration(Duration::from_millis(500))
        .half_open(HalfOpen::consecutive_successes(1))
        .build()?;
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
    println!("refused: {:?}; {} requests for 5 messages", consumer.await?, backend.hits());
    Ok(())
}
