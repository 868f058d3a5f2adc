//! Calls at a fixed rate, and what became of them.

use std::time::Duration;

use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::{BoxError, ServiceExt};
use tower_breaker::Rejected;

use crate::client::Client;

/// One call of a user, with its retry, if there was one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// The number of the phase in which it started.
    pub(crate) phase: usize,
    /// Since the start of the run.
    pub(crate) started: Duration,
    pub(crate) took: Duration,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    /// A 5xx, a timeout, a refused or broken connection.
    Failure,
    /// The breaker turned it away.
    Rejection,
}

/// The users of one client.
pub(crate) struct Load {
    client: Client,
    uri: Uri,
    start: Instant,
    calls: JoinSet<Call>,
}

impl Load {
    pub(crate) fn new(client: Client, uri: Uri, start: Instant) -> Self {
        Self { client, uri, start, calls: JoinSet::new() }
    }

    /// Starts a call and does not wait for it.
    pub(crate) fn call(&mut self, phase: usize) {
        let (client, uri, start) = (self.client.clone(), self.uri.clone(), self.start);
        self.calls.spawn(async move {
            let started = start.elapsed();
            let end = match get(client, uri).await {
                Ok(true) => End::Success,
                Ok(false) => End::Failure,
                Err(error) if error.is::<Rejected>() => End::Rejection,
                Err(_) => End::Failure,
            };
            Call { phase, started, took: start.elapsed() - started, end }
        });
    }

    /// Waits for all calls.
    pub(crate) async fn finish(self) -> Vec<Call> {
        self.calls.join_all().await
    }
}

/// Whether the answer is a success.
async fn get(client: Client, uri: Uri) -> Result<bool, BoxError> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = uri;
    let response = client.oneshot(request).await?;
    let success = response.status().is_success();
    // To its end, so that the connection can be used again. The timeout does not cover this part:
    // it ends with the head of the response, as all Tower layers do that do not wrap the body.
    response.into_body().collect().await?;
    Ok(success)
}
