use std::time::Duration;

use failsafe::backoff::{self, Exponential};
use failsafe::failure_policy::{self, ConsecutiveFailures};
use failsafe::futures::CircuitBreaker as _;
use failsafe::{Config, Error, StateMachine};
use reqwest::Client;

/// A client of a price service.
pub struct Prices {
    url: String,
    client: Client,
    breaker: StateMachine<ConsecutiveFailures<Exponential>, ()>,
}

impl Prices {
    pub fn new(url: &str, wait: Duration) -> Self {
        let backoff = backoff::exponential(wait, 8 * wait);
        let policy = failure_policy::consecutive_failures(3, backoff);
        let breaker = Config::new().failure_policy(policy).build();
        Self { url: url.to_owned(), client: Client::new(), breaker }
    }

    pub async fn price(&self, item: &str) -> Result<String, String> {
        let url = format!("{}{item}", self.url);
        let request = self.client.get(url).timeout(Duration::from_secs(1));
        let call = async { request.send().await?.error_for_status()?.text().await };
        match self.breaker.call_with(is_failure, call).await {
            Ok(price) => Ok(price),
            Err(Error::Rejected) => Err("not sent".to_owned()),
            Err(Error::Inner(error)) => Err(format!("failed: {error}")),
        }
    }
}

/// A server that answers with 404 is well.
fn is_failure(error: &reqwest::Error) -> bool {
    !error.status().is_some_and(|status| status.is_client_error())
}
