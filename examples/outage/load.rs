//! Calls at a fixed rate, and their results.

use std::time::Duration;

use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::{BoxError, ServiceExt};
use tower_breaker::Rejected;

use crate::client::Client;

/// One call of a user, including its retry if there was one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// The number of the phase in which the call started.
    pub(crate) phase: usize,
    /// The time since the start of the run.
    pub(crate) started: Duration,
    pub(crate) took: Duration,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    /// A 5xx, a timeout, or a connection that was refused or broken.
    Failure,
    /// The breaker rejected the call.
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

    /// Starts a call without waiting for it.
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

/// Sends a request. Returns whether the response is a success.
async fn get(client: Client, uri: Uri) -> Result<bool, BoxError> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = uri;
    let response = client.oneshot(request).await?;
    let success = response.status().is_success();
    // Reads the body to its end, so that the connection can be reused. The timeout does not cover this,
    // because it ends with the head of the response, like every layer that does not wrap the body.
    response.into_body().collect().await?;
    Ok(success)
}
