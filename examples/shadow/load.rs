//! The calls of the service, through the breaker.

use std::time::Duration;

use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_breaker::http::HttpClassifier;
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Rejected};

type Client = BoxCloneService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

/// Longer than an overloaded server takes, so that it does not matter how busy the machine is.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What the callers saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
    pub(crate) rejected: u32,
}

pub(crate) struct Load {
    client: Client,
    uri: Uri,
    calls: JoinSet<Result<bool, BoxError>>,
}

impl Load {
    pub(crate) fn new(breaker: CircuitBreaker, uri: Uri) -> Self {
        let client = ServiceBuilder::new()
            .map_err(CircuitBreakerError::<BoxError>::into_boxed)
            .layer(CircuitBreakerLayer::new(breaker).classifier(HttpClassifier::new()))
            .timeout(TIMEOUT)
            .service(HttpClient::builder(TokioExecutor::new()).build_http());
        Self { client: BoxCloneService::new(client), uri, calls: JoinSet::new() }
    }

    /// Starts a call without waiting for it.
    pub(crate) fn call(&mut self) {
        self.calls.spawn(get(self.client.clone(), self.uri.clone()));
    }

    /// Waits for all calls.
    pub(crate) async fn finish(self) -> Seen {
        let mut seen = Seen::default();
        for result in self.calls.join_all().await {
            match result {
                Ok(true) => seen.succeeded += 1,
                Err(error) if error.is::<Rejected>() => seen.rejected += 1,
                Ok(false) | Err(_) => seen.failed += 1,
            }
        }
        seen
    }
}

/// Sends a request. Returns whether the response is a success.
async fn get(client: Client, uri: Uri) -> Result<bool, BoxError> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = uri;
    let response = client.oneshot(request).await?;
    let success = response.status().is_success();
    // Reads the body to its end, so that the connection can be reused.
    response.into_body().collect().await?;
    Ok(success)
}
