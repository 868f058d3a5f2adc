//! How does a service with open circuits shut down without hanging, and without losing its work?
//!
//! `cargo run -p tower-breaker-recipes --example shutdown`
//!
//! A task that waits for a circuit holds nothing, so it can be told to stop. Calls in flight and open connections have a
//! time limit. What was not sent is returned, to be saved.

use std::{collections::VecDeque, time::Duration};

use axum::{Router, routing::get};
use reqwest::{Client, StatusCode};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;
use tower_breaker::CircuitBreaker;
use tower_breaker_recipes::{Answer, Backend};

pub struct Sender {
    pub breaker: CircuitBreaker,
    pub client: Client,
    pub url: String,
    pub messages: VecDeque<String>,
    pub refused: Vec<String>,
}

impl Sender {
    /// Sends messages until none is left or it is told to stop. See `consumer` for those that fail each time.
    async fn send_all(&mut self, stop: &CancellationToken) {
        while let Some(message) = self.messages.front() {
            let permit = tokio::select! {
                biased; // no new call after the signal
                () = stop.cancelled() => return,
                permit = self.breaker.acquire() => permit,
            };
            let request = self.client.post(&self.url).timeout(Duration::from_secs(1));
            match request.body(message.clone()).send().await.map(|answer| answer.status()) {
                Err(_) | Ok(StatusCode::TOO_MANY_REQUESTS) => permit.failure(),
                Ok(status) if status.is_server_error() => permit.failure(),
                Ok(status) => {
                    permit.success();
                    let message = self.messages.pop_front();
                    self.refused.extend(message.filter(|_| !status.is_success()));
                }
            }
        }
    }
}

/// Serves and sends until it is told to stop. Connections that are still open after a while end with the program.
pub async fn run(listener: TcpListener, app: Router, sender: &mut Sender, stop: CancellationToken) {
    let stopped = stop.clone().cancelled_owned();
    let server = axum::serve(listener, app).with_graceful_shutdown(stopped);
    let server = tokio::spawn(server.into_future());
    sender.send_all(&stop).await;
    stop.cancelled().await;
    if timeout(Duration::from_secs(1), server).await.is_err() {
        eprintln!("connections are still open");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = Backend::start("reports").await?;
    backend.set(Answer::Status(503));
    let (breaker, url) = (CircuitBreaker::new("reports"), backend.url().to_owned());
    let messages = (1..=3).map(|number| format!("report {number}")).collect();
    let mut sender = Sender { breaker, client: Client::new(), url, messages, refused: Vec::new() };
    let stop = CancellationToken::new();
    let signal = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await; // or `tokio::signal::ctrl_c`
        signal.cancel();
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    run(listener, Router::new().route("/", get("hello")), &mut sender, stop).await;
    println!("not sent: {:?}, refused: {:?}", sender.messages, sender.refused);
    Ok(())
}
