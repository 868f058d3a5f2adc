use std::time::Duration;

use recloser::{AsyncRecloser, Error, Recloser};
use reqwest::Client;

/// A client of a price service.
pub struct Prices {
    url: String,
    client: Client,
    breaker: AsyncRecloser,
}

impl Prices {
    pub fn new(url: &str, wait: Duration) -> Self {
        let breaker = Recloser::custom()
            .error_rate(0.5)
            .closed_len(4)
            .half_open_len(2)
            .open_wait(wait)
            .build();
        Self { url: url.to_owned(), client: Client::new(), breaker: breaker.into() }
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
