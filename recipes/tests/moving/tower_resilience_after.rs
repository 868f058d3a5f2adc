use std::time::Duration;

use reqwest::{Client, Error, Method, Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, HalfOpen, Outcome};

/// A client of a price service.
pub struct Prices {
    url: String,
    client: BoxCloneSyncService<Request, Response, CircuitBreakerError<Error>>,
}

impl Prices {
    pub fn new(url: &str, wait: Duration) -> Self {
        let breaker = CircuitBreaker::builder("prices")
            .consecutive_failures(3)
            .open_duration(wait)
            .half_open(HalfOpen::consecutive_successes(2))
            .build()
            .expect("valid settings");
        let layer =
            CircuitBreakerLayer::new(breaker).classifier(|result: Result<&Response, &Error>| {
                match result {
                    Ok(response) if !response.status().is_server_error() => Outcome::Success,
                    _ => Outcome::Failure,
                }
            });
        let client = ServiceBuilder::new().layer(layer).service(Client::new());
        Self { url: url.to_owned(), client: BoxCloneSyncService::new(client) }
    }

    pub async fn price(&self, item: &str) -> Result<String, String> {
        let url = format!("{}{item}", self.url).parse().expect("a valid address");
        let mut request = Request::new(Method::GET, url);
        *request.timeout_mut() = Some(Duration::from_secs(1));
        match self.client.clone().oneshot(request).await {
            Ok(response) if response.status().is_success() => {
                response.text().await.map_err(|error| format!("failed: {error}"))
            }
            Ok(response) => Err(format!("failed: {}", response.status())),
            Err(CircuitBreakerError::Rejected(_)) => Err("not sent".to_owned()),
            Err(CircuitBreakerError::Inner(error)) => Err(format!("failed: {error}")),
        }
    }
}
