use std::time::Duration;

use reqwest::Client;
use tower_breaker::{CircuitBreaker, CircuitBreakerError, HalfOpen, Outcome, SlidingWindow};

/// A client of a price service.
pub struct Prices {
    url: String,
    client: Client,
    breaker: CircuitBreaker,
}

impl Prices {
    pub fn new(url: &str, wait: Duration) -> Self {
        let breaker = CircuitBreaker::builder("prices")
            .failure_rate_threshold(0.5)
            .sliding_window(SlidingWindow::count(4))
            .minimum_calls(4)
            .open_duration(wait)
            .half_open(HalfOpen::sample(3))
            .build()
            .expect("valid settings");
        Self { url: url.to_owned(), client: Client::new(), breaker }
    }

    pub async fn price(&self, item: &str) -> Result<String, String> {
        let url = format!("{}{item}", self.url);
        let request = self.client.get(url).timeout(Duration::from_secs(1));
        let call = async { request.send().await?.error_for_status()?.text().await };
        match self.breaker.call_with(call, outcome).await {
            Ok(price) => Ok(price),
            Err(CircuitBreakerError::Rejected(_)) => Err("not sent".to_owned()),
            Err(CircuitBreakerError::Inner(error)) => Err(format!("failed: {error}")),
        }
    }
}

/// A server that answers with 404 is well.
fn outcome(result: &Result<String, reqwest::Error>) -> Outcome {
    match result {
        Err(error) if !error.status().is_some_and(|it| it.is_client_error()) => Outcome::Failure,
        _ => Outcome::Success,
    }
}
