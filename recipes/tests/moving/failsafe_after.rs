use std::time::Duration;

use reqwest::Client;
use tower_breaker::{Backoff, CircuitBreaker, CircuitBreakerError, HalfOpen, Outcome};

/// A client of a price service.
pub struct Prices {
    url: String,
    client: Client,
    breaker: CircuitBreaker,
}

impl Prices {
    pub fn new(url: &str, wait: Duration) -> Self {
        let breaker = CircuitBreaker::builder("prices")
            .consecutive_failures(3)
            .open_duration(Backoff::exponential(wait, 8 * wait).jitter(0.0))
            .half_open(HalfOpen::consecutive_successes(1))
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
