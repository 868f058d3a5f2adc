//! Servers that answer 200 and then fail in the middle of the body.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Error;
use tower::Layer;
use tower_breaker::http::{AtEndOfStream, HttpClassifier, ResponseBody};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Classifier, State};

use crate::scripted::{BodyFailed, Gate, Scripted, Step, poll};
use crate::servers::{HttpClient, get, http1_client, http2_client, serve, serve_bytes};
use crate::{breaker, recorded, send};

/// Returns whether a circuit trips after two responses whose bodies fail when the gate opens.
async fn trips<C, B>(classifier: C, client: HttpClient, address: SocketAddr, gate: &Gate) -> bool
where
    C: Classifier<Response<Incoming>, Error, Response = Response<B>> + Clone,
    B: Body<Data: Debug, Error = hyper::Error>,
{
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut client = layer.layer(client);
    for _ in 0..2 {
        let response = send(&mut client, get(address)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        gate.open();
        response.into_body().collect().await.expect_err("the body fails");
    }
    let trips = breaker.state() == State::Open;
    assert_eq!(send(&mut client, get(address)).await.is_err(), trips);
    trips
}

async fn trips_at_the_end_only(client: fn() -> HttpClient, address: SocketAddr, gate: &Gate) {
    let at_head = HttpClassifier::new();
    assert!(!trips(at_head, client(), address, gate).await, "the heads were successes");
    assert!(trips(at_head.at_end_of_stream(), client(), address, gate).await);
}

#[tokio::test]
async fn a_body_shorter_than_its_content_length_trips_at_the_end_of_the_stream() {
    let server = serve_bytes("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    trips_at_the_end_only(http1_client, server, &Gate::default()).await;
}

#[tokio::test]
async fn a_truncated_chunked_body_trips_at_the_end_of_the_stream() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let between_chunks = serve_bytes(format!("{head}4\r\nhalf\r\n")).await;
    trips_at_the_end_only(http1_client, between_chunks, &Gate::default()).await;
    let within_a_chunk = serve_bytes(format!("{head}8\r\nhalf")).await;
    trips_at_the_end_only(http1_client, within_a_chunk, &Gate::default()).await;
}

#[tokio::test]
async fn an_http2_stream_that_is_reset_trips_at_the_end_of_the_stream() {
    let gate = Gate::default();
    let half = Scripted::new([Step::data("half"), Step::Wait(gate.clone()), Step::Error]);
    let address = serve(move || Response::new(half.clone())).await;
    trips_at_the_end_only(http2_client, address, &gate).await;
}

#[tokio::test]
async fn an_http1_server_whose_body_fails_trips_at_the_end_of_the_stream() {
    let gate = Gate::default();
    let half = Scripted::new([Step::data("half"), Step::Wait(gate.clone()), Step::Error]);
    let address = serve(move || Response::new(half.clone())).await;
    trips_at_the_end_only(http1_client, address, &gate).await;
}

// ---- by hand ------------------------------------------------------------------------------------

fn watched(breaker: &CircuitBreaker, body: Scripted) -> ResponseBody<Scripted> {
    ResponseBody::new(body, breaker.try_acquire().unwrap(), AtEndOfStream)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_is_one_failure_even_if_it_is_polled_again() {
    let breaker = breaker();
    let mut body = watched(&breaker, Scripted::new([Step::data("half"), Step::Error]));

    assert!(poll(&mut body).is_ready());
    assert_eq!(recorded(&breaker), (0, 0), "the call is not settled yet");
    assert_eq!(poll(&mut body), Poll::Ready(Some(Err(BodyFailed))));
    assert_eq!(recorded(&breaker), (1, 1));
    assert_eq!(poll(&mut body), Poll::Ready(None));
    drop(body);
    assert_eq!(recorded(&breaker), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_panics_is_a_failure_and_continues_to_unwind() {
    let breaker = breaker();
    let mut body = watched(&breaker, Scripted::new([Step::Pending, Step::Panic]));

    assert!(poll(&mut body).is_pending());
    let panic = catch_unwind(AssertUnwindSafe(|| poll(&mut body))).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "a panic");
    assert_eq!(recorded(&breaker), (1, 1));
    drop(body);
    assert_eq!(recorded(&breaker), (1, 1));
}
