//! How does a service with open circuits shut down without hanging, and without losing its work?
//!
//! `cargo run -p tower-breaker-recipes --example shutdown`
//!
//! A task that waits for a circuit holds nothing, so it can be told to stop. A call in flight ends as ever. What
//! was not sent is returned, to be saved.

use std::{collections::VecDeque, time::Duration};

use axum::{Router, routing::get};
use reqwest::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_breaker::CircuitBreaker;
use tower_breaker_recipes::{Answer, Backend};

pub struct Sender {
    pub breaker: CircuitBreaker,
    pub client: Client,
    pub url: String,
}

impl Sender {
    /// Sends messages until all are sent or it is told to stop. Returns those that were not sent.
    async fn send_all(
        &self,
        mut messages: VecDeque<String>,
        stop: CancellationToken,
    ) -> VecDeque<String> {
        while let Some(message) = messages.front() {
            let permit = tokio::select! {
                biased; // no new call after the signal
                () = stop.cancelled() => break,
                permit = self.breaker.acquire() => permit,
            };
            // From here on the call ends by itself. Its timeout limits how long a shutdown takes.
            let request = self.client.post(&self.url).timeout(Duration::from_secs(1));
            let answer = request.body(message.clone()).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                permit.success();
                messages.pop_front();
            } else {
                permit.failure();
            }
        }
        messages
    }
}

/// Serves and sends until it is told to stop. Returns the messages that were not sent.
pub async fn run(
    listener: TcpListener,
    sender: Sender,
    messages: VecDeque<String>,
    stop: CancellationToken,
) -> std::io::Result<VecDeque<String>> {
    let server = axum::serve(listener, Router::new().route("/", get("hello")));
    let server = server.with_graceful_shutdown(stop.clone().cancelled_owned());
    let (served, left) = tokio::join!(server, sender.send_all(messages, stop));
    served.map(|()| left)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = Backend::start("reports").await?;
    backend.set(Answer::Status(503));
    let breaker = CircuitBreaker::new("reports");
    let sender = Sender { breaker, client: Client::new(), url: backend.url().to_owned() };
    let messages = (1..=3).map(|number| format!("report {number}")).collect();
    let stop = CancellationToken::new();
    let signal = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await; // or `tokio::signal::ctrl_c`
        signal.cancel();
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("not sent: {:?}", run(listener, sender, messages, stop).await?);
    Ok(())
}
