//! The classifiers of tower-http, on real sockets and with hand-made responses.

#![cfg(feature = "tower-http")]

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::stream::iter;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::tower_http::TowerHttpClassifier;
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Classifier, State};
use tower_http::classify::{
    ClassifiedResponse, ClassifyEos, ClassifyResponse, GrpcCode, GrpcErrorsAsFailures,
    ServerErrorsAsFailures, StatusInRangeAsFailures,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A circuit that trips at the second consecutive failure and stays open. It also counts calls.
fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("backend")
        .consecutive_failures(2)
        .failure_rate_threshold(1.0)
        .minimum_calls(1000)
        .open_duration(HOUR)
        .build()
        .unwrap()
}

/// Returns how many calls were recorded, and how many of them as failures.
fn recorded(breaker: &CircuitBreaker) -> (u64, u64) {
    let snapshot = breaker.snapshot();
    (snapshot.calls(), snapshot.failures())
}

// ---- real sockets -------------------------------------------------------------------------------

async fn serve() -> SocketAddr {
    let with_status = |status: &'static str| async move {
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
        let frames = [Frame::data(Bytes::from("body")), Frame::trailers(trailers)];
        let frames = frames.map(Ok::<_, Infallible>);
        Body::new(StreamBody::new(iter(frames)))
    };
    let router = Router::new()
        .route("/ok", get(|| async { "body" }))
        .route("/timeout", get(|| async { StatusCode::REQUEST_TIMEOUT }))
        .route("/unavailable", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/grpc/0", get(move || with_status("0")))
        .route("/grpc/14", get(move || with_status("14")));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

/// Returns whether a circuit with this classifier trips on the responses of a path.
async fn trips<C>(classifier: C, path: &str) -> bool
where
    C: ClassifyResponse<ClassifyEos: Send> + Clone,
{
    let (breaker, address) = (breaker(), serve().await);
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let mut client = layer.classifier(TowerHttpClassifier::new(classifier)).layer(client);
    for calls in 1..=2 {
        let request = Request::get(format!("http://{address}{path}")).body(Empty::<Bytes>::new());
        let response = client.ready().await.unwrap().call(request.unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
        if breaker.state() == State::Closed {
            assert_eq!(recorded(&breaker).0, calls, "{path}");
        }
    }
    breaker.state() == State::Open
}

#[tokio::test]
async fn server_errors_trip() {
    let classifier = ServerErrorsAsFailures::new();
    assert!(trips(classifier.clone(), "/unavailable").await);
    assert!(!trips(classifier.clone(), "/unknown").await);
    assert!(!trips(classifier, "/ok").await);
}

#[tokio::test]
async fn a_range_of_statuses_trips() {
    let classifier = StatusInRangeAsFailures::new(404..=404);
    assert!(trips(classifier.clone(), "/unknown").await);
    assert!(!trips(classifier.clone(), "/unavailable").await);
    assert!(!trips(classifier, "/ok").await);
}

#[tokio::test]
async fn a_408_does_not_trip_unless_its_range_is_given() {
    assert!(!trips(ServerErrorsAsFailures::new(), "/timeout").await);
    assert!(trips(StatusInRangeAsFailures::new(408..=599), "/timeout").await);
}

#[tokio::test]
async fn an_http_error_does_not_trip_a_classifier_for_grpc() {
    assert!(!trips(GrpcErrorsAsFailures::new(), "/unavailable").await);
}

#[tokio::test]
async fn grpc_statuses_in_trailers_trip() {
    let classifier = GrpcErrorsAsFailures::new();
    assert!(trips(classifier.clone(), "/grpc/14").await);
    assert!(!trips(classifier.clone(), "/grpc/0").await);
    assert!(!trips(classifier.with_success(GrpcCode::Unavailable), "/grpc/14").await);
}

// ---- by hand ------------------------------------------------------------------------------------

/// A classifier of a user, to which every body except that of a 204 must end with the trailer `x-checksum`.
#[derive(Clone)]
struct ChecksumExpected;

impl ClassifyResponse for ChecksumExpected {
    type FailureClass = ();
    type ClassifyEos = Self;

    fn classify_response<B>(self, response: &Response<B>) -> ClassifiedResponse<(), Self> {
        match response.status() {
            StatusCode::NO_CONTENT => ClassifiedResponse::Ready(Ok(())),
            StatusCode::OK => ClassifiedResponse::RequiresEos(self),
            _ => ClassifiedResponse::Ready(Err(())),
        }
    }

    fn classify_error<E: fmt::Display + 'static>(self, _: &E) {}
}

impl ClassifyEos for ChecksumExpected {
    type FailureClass = ();

    fn classify_eos(self, trailers: Option<&HeaderMap>) -> Result<(), ()> {
        trailers.is_some_and(|it| it.contains_key("x-checksum")).then_some(()).ok_or(())
    }

    fn classify_error<E: fmt::Display + 'static>(self, _: &E) {}
}

type Frames = Vec<Result<Frame<Bytes>, &'static str>>;

/// Makes one call whose response has these frames, and reads it to its end or drops it. Returns what was
/// recorded.
async fn record(status: u16, frames: Frames, is_read: bool) -> (u64, u64) {
    let breaker = breaker();
    let body = StreamBody::new(iter(frames));
    let mut response = Some(Response::builder().status(status).body(body).unwrap());
    let inner = service_fn(|()| ready(Ok::<_, io::Error>(response.take().unwrap())));
    let classifier = TowerHttpClassifier::new(ChecksumExpected);
    let service = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier).layer(inner);
    let response = service.oneshot(()).await.unwrap();
    if is_read {
        let _ = response.into_body().collect().await;
    } else {
        drop(response);
    }
    recorded(&breaker)
}

fn data() -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::from("body")))
}

fn checksum() -> Result<Frame<Bytes>, &'static str> {
    let pair = ("x-checksum".parse().unwrap(), "1".parse().unwrap());
    Ok(Frame::trailers(HeaderMap::from_iter([pair])))
}

#[tokio::test]
async fn a_ready_result_settles_the_call_at_the_head() {
    assert_eq!(record(204, vec![Err("unread")], true).await, (1, 0));
    assert_eq!(record(500, vec![checksum()], true).await, (1, 1));
}

#[tokio::test]
async fn a_result_that_requires_the_end_of_the_stream_settles_the_call_there() {
    assert_eq!(record(200, vec![data(), checksum()], true).await, (1, 0));
    assert_eq!(record(200, vec![data()], true).await, (1, 1));
}

#[tokio::test]
async fn a_stream_that_fails_is_a_failure() {
    assert_eq!(record(200, vec![data(), Err("failed"), checksum()], true).await, (1, 1));
}

#[tokio::test]
async fn a_stream_dropped_before_its_end_is_abandoned() {
    assert_eq!(record(200, vec![data(), checksum()], false).await, (0, 0));
}

#[test]
fn errors_are_failures() {
    let breaker = breaker();
    let classifier = TowerHttpClassifier::new(ServerErrorsAsFailures::new());
    let error = io::Error::other("refused");
    let permit = breaker.try_acquire().unwrap();
    Classifier::<Response<Empty<Bytes>>, _>::error(&classifier, &error, permit);
    assert_eq!(recorded(&breaker), (1, 1));
}

#[test]
fn the_retry_after_of_a_failure_is_honoured() {
    let breaker = CircuitBreaker::builder("backend").trip_on_retry_after(true).build().unwrap();
    let classifier = TowerHttpClassifier::new(ServerErrorsAsFailures::new());
    let response = Response::builder().status(503).header("retry-after", "120");
    let response = response.body(Empty::<Bytes>::new()).unwrap();
    let permit = breaker.try_acquire().unwrap();
    drop(Classifier::<_, io::Error>::response(&classifier, response, permit));
    let wait = breaker.try_acquire().unwrap_err().retry_after().unwrap();
    assert!(wait > Duration::from_secs(60), "{wait:?}");
}
