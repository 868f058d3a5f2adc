//! What is outside the breaker: a service that keeps a record of each call.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Frame};
use tower::{BoxError, Layer, Service};
use tower_breaker::Rejected;

use crate::call::Call;
use crate::ledger::Ledger;

pub(crate) type Req = Request<Empty<Bytes>>;
pub(crate) type Answer = Response<Watched<UnsyncBoxBody<Bytes, BoxError>>>;

/// The layer for the outside of the breaker.
pub(crate) struct Watch(pub(crate) Arc<Ledger>);

impl<S> Layer<S> for Watch {
    type Service = WatchService<S>;

    fn layer(&self, inner: S) -> WatchService<S> {
        WatchService { inner, ledger: self.0.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct WatchService<S> {
    inner: S,
    ledger: Arc<Ledger>,
}

impl<S, B> Service<Req> for WatchService<S>
where
    S: Service<Req, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Watched<Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let call = Call::new(&self.ledger);
        let future = call.during(|| self.inner.call(request));
        let answered = call.clone();
        let future = Box::pin(async move {
            match future.await {
                Ok(response) => Ok(response
                    .map(|body| Watched::new(answered, body.map_err(Into::into).boxed_unsync()))),
                Err(error) => {
                    let error = error.into();
                    if error.is::<Rejected>() {
                        answered.rejected();
                    }
                    Err(error)
                }
            }
        });
        Watched::new(call, future)
    }
}

/// A future or a body that belongs to a call.
pub(crate) struct Watched<T> {
    call: Arc<Call>,
    /// `None` only while it is being dropped.
    part: Option<T>,
}

impl<T> Watched<T> {
    pub(crate) fn new(call: Arc<Call>, part: T) -> Self {
        Self { call, part: Some(part) }
    }
}

impl<T> Drop for Watched<T> {
    fn drop(&mut self) {
        let part = self.part.take();
        self.call.during(|| drop(part));
    }
}

impl<T: Future + Unpin> Future for Watched<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let Self { call, part } = &mut *self;
        let part = part.as_mut().expect("the part is there until it is dropped");
        call.during(|| Pin::new(part).poll(cx))
    }
}

impl<T: Body + Unpin> Body for Watched<T> {
    type Data = T::Data;
    type Error = T::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<T::Data>, T::Error>>> {
        let Self { call, part } = &mut *self;
        let part = part.as_mut().expect("the part is there until it is dropped");
        call.during(|| Pin::new(part).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.part.as_ref().is_none_or(Body::is_end_stream)
    }
}
