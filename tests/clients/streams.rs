//! Streaming uploads and downloads, chunked over HTTP/1.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Notify;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::http::HttpClassifier;
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Outcome, Rejected, State,
};

use crate::backend::{Backend, serve};
use crate::{breaker, is_rejected, recorded};

type HttpClient = Client<HttpConnector, Body>;

fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

fn post(url: &str, body: Body) -> Request<Body> {
    Request::post(url).body(body).unwrap()
}

/// A body of several chunks, whose length is not known in advance.
fn chunks(chunks: &'static [&'static str]) -> Body {
    Body::from_stream(stream::iter(chunks.iter().map(|chunk| Ok::<_, Infallible>(*chunk))))
}

async fn send<S>(service: &mut S, request: Request<Body>) -> Result<S::Response, BoxError>
where
    S: Service<Request<Body>, Error: Into<BoxError>>,
{
    let response = service.ready().await.map_err(Into::into)?.call(request);
    response.await.map_err(Into::into)
}

async fn text<B>(response: Response<B>) -> String
where
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A breaker whose next call is a probe.
fn half_open() -> CircuitBreaker {
    let breaker = breaker();
    breaker.force_open();
    breaker.resume();
    breaker
}

#[tokio::test]
async fn a_rejected_upload_can_be_sent_elsewhere_complete() {
    let (breaker, primary) = (breaker(), Backend::start().await);
    let echo = Router::new().fallback(|body: Body| async { body });
    let replica: Arc<str> = format!("http://{}/", serve(echo).await).into();
    let to_replica = move |mut request: Request<Body>, _: Rejected| {
        let uri = replica.parse();
        async move {
            *request.uri_mut() = uri.unwrap();
            client().request(request).await.map_err(CircuitBreakerError::Inner)
        }
    };
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new())
        .fallback(to_replica);
    let mut service = ServiceBuilder::new().layer(layer).service(client());

    primary.answers(StatusCode::BAD_GATEWAY);
    for _ in 0..2 {
        let response = send(&mut service, post(&primary.url(), chunks(&["a", "b"]))).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    }
    for _ in 0..3 {
        let request = post(&primary.url(), chunks(&["not ", "read ", "before"]));
        assert_eq!(text(send(&mut service, request).await.unwrap()).await, "not read before");
    }
    assert_eq!(primary.hits(), 2);
    assert_eq!(
        recorded(&breaker),
        (2, 2),
        "what tripped it; the responses of the replica are not counted"
    );
}

#[tokio::test]
async fn an_upload_that_fails_on_our_own_side_is_counted_unless_a_classifier_ignores_it() {
    type Error = hyper_util::client::legacy::Error;

    fn is_ours(error: &Error) -> bool {
        let cause = std::error::Error::source(error).and_then(|it| it.downcast_ref());
        cause.is_some_and(hyper::Error::is_user)
    }

    fn fair(result: Result<&Response<hyper::body::Incoming>, &Error>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) if is_ours(error) => Outcome::Ignored,
            Err(_) => Outcome::Failure,
        }
    }

    let read_it = Router::new().fallback(|_: Bytes| async { "all of it" });
    let url = format!("http://{}/", serve(read_it).await);
    let broken = || {
        let steps = [Ok("half"), Err(std::io::Error::other("the file is gone"))];
        post(&url, Body::from_stream(stream::iter(steps)))
    };

    let counted = breaker();
    let layer = CircuitBreakerLayer::new(counted.clone()).classifier(HttpClassifier::new());
    let mut service = ServiceBuilder::new().layer(layer).service(client());
    send(&mut service, broken()).await.unwrap_err();
    assert_eq!(recorded(&counted), (1, 1));

    let not_counted = breaker();
    let layer = CircuitBreakerLayer::new(not_counted.clone()).classifier(fair);
    let mut service = ServiceBuilder::new().layer(layer).service(client());
    send(&mut service, broken()).await.unwrap_err();
    assert_eq!(recorded(&not_counted), (0, 0));
}

#[tokio::test]
async fn a_response_that_arrives_during_the_upload_settles_the_call() {
    let backend = Backend::start().await;
    backend.answers(StatusCode::INTERNAL_SERVER_ERROR);
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(HttpClassifier::new());
    let mut service = ServiceBuilder::new().layer(layer).service(client());
    for failures in 1..=2 {
        let endless = stream::iter([Ok::<_, Infallible>("half")]).chain(stream::pending());
        let request = post(&backend.url(), Body::from_stream(endless));
        let status = send(&mut service, request).await.unwrap().status();
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(recorded(&breaker), (failures, failures));
    }
    assert_eq!(breaker.state(), State::Open);
}

/// Starts a server that sends one event and then nothing more.
async fn serve_events() -> String {
    let events = || async {
        let event = stream::iter([Ok::<_, Infallible>("data: 1\n\n")]).chain(stream::pending());
        ([("content-type", "text/event-stream")], Body::from_stream(event))
    };
    format!("http://{}/", serve(Router::new().fallback(events)).await)
}

#[tokio::test]
async fn a_probe_with_an_endless_body_that_is_settled_at_the_head_closes_the_circuit() {
    let url = serve_events().await;
    let breaker = half_open();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(HttpClassifier::new());
    let mut service = ServiceBuilder::new().layer(layer).service(client());
    let mut events = send(&mut service, post(&url, Body::empty())).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
    events.frame().await.unwrap().unwrap();
    send(&mut service, post(&url, Body::empty())).await.unwrap();
}

#[tokio::test]
async fn a_probe_with_an_endless_body_that_is_settled_at_its_end_keeps_its_slot() {
    let url = serve_events().await;
    let breaker = half_open();
    let classifier = HttpClassifier::new().at_end_of_stream();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut service = ServiceBuilder::new().layer(layer).service(client());
    let mut events = send(&mut service, post(&url, Body::empty())).await.unwrap();
    events.frame().await.unwrap().unwrap();
    assert!(is_rejected(&send(&mut service, post(&url, Body::empty())).await));
    drop(events); // the caller has seen enough
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_predicate_can_ignore_endless_bodies() {
    let url = serve_events().await;
    let breaker = half_open();
    let classifier = HttpClassifier::new()
        .head(|_, headers: &HeaderMap| {
            let is_events = headers.get("content-type").is_some_and(|it| it == "text/event-stream");
            is_events.then_some(Outcome::Ignored)
        })
        .at_end_of_stream();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut service = ServiceBuilder::new().layer(layer).service(client());
    let _events = send(&mut service, post(&url, Body::empty())).await.unwrap();
    assert_eq!(breaker.state(), State::HalfOpen, "the probe slot is free");
    send(&mut service, post(&url, Body::empty())).await.unwrap();
}

#[tokio::test]
async fn a_download_is_passed_on_chunk_by_chunk() {
    let (breaker, next) = (breaker(), Arc::new(Notify::new()));
    let ticks = |Shared(next): Shared<Arc<Notify>>| async {
        Body::from_stream(stream::unfold((next, 0), |(next, n)| async move {
            next.notified().await;
            (n < 3).then(|| (Ok::<_, Infallible>(format!("tick {n}")), (next, n + 1)))
        }))
    };
    let router = Router::new().fallback(ticks).with_state(next.clone());
    let url = format!("http://{}/", serve(router).await);
    let classifier = HttpClassifier::new().at_end_of_stream();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut service = ServiceBuilder::new().layer(layer).service(client());
    let mut body = send(&mut service, post(&url, Body::empty())).await.unwrap().into_body();
    for n in 0..3 {
        next.notify_one();
        let frame = tokio::time::timeout(Duration::from_secs(60), body.frame()).await.unwrap();
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), format!("tick {n}"));
        assert_eq!(recorded(&breaker), (0, 0));
    }
    next.notify_one();
    assert!(body.frame().await.is_none());
    assert_eq!(recorded(&breaker), (1, 0));
}
