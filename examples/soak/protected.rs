//! What is inside the breaker: the HTTP client. It counts admitted calls, tells the backend which calls are
//! probes, and panics on demand.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::Response;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, Service};

use crate::call::{Call, Injected, PROBE};
use crate::watch::Req;

/// Causes a panic every so many times. All clones share the setting, so that panics can be switched off.
#[derive(Clone, Default)]
pub(crate) struct Panics(Arc<(AtomicU64, AtomicU64)>);

impl Panics {
    /// Sets how often there is a panic. 0 means never.
    pub(crate) fn every(&self, times: u64) {
        self.0.0.store(times, Ordering::Relaxed);
    }

    /// Panics if it is time, unless the thread is already unwinding.
    pub(crate) fn maybe(&self) {
        let (every, count) = (self.0.0.load(Ordering::Relaxed), &self.0.1);
        let is_due = every > 0 && count.fetch_add(1, Ordering::Relaxed) % every == every - 1;
        if is_due && !std::thread::panicking() {
            std::panic::resume_unwind(Box::new(Injected)); // prints no message
        }
    }
}

#[derive(Clone)]
pub(crate) struct Protected {
    client: Client<HttpConnector, Empty<Bytes>>,
    panics: Panics,
    /// Whether `call` panics, too. The worker of a `Buffer` would not survive that.
    in_call: bool,
}

impl Protected {
    pub(crate) fn new(panics: Panics, in_call: bool) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, panics, in_call }
    }
}

impl Service<Req> for Protected {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Req) -> Self::Future {
        let call = Call::current().expect("calls come through the breaker");
        if let Some(probe) = call.begin() {
            request.headers_mut().insert(PROBE, probe);
        }
        if self.in_call {
            self.panics.maybe();
        }
        let (response, panics) = (self.client.request(request), self.panics.clone());
        Box::pin(async move {
            let response = response.await;
            panics.maybe();
            Ok(response?)
        })
    }
}
