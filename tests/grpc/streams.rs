//! Streams that do not reach their end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{StreamExt, iter, once};
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::net::TcpSocket;
use tokio::sync::Notify;
use tokio::time::timeout;
use tonic::Streaming;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_breaker::{Cause, CircuitBreaker, State, Transition};

use crate::servers::{Endless, MESSAGE, serve_raw};
use crate::{HOUR, breaker, builder, check, client, recorded};

/// Returns a stream whose first message has arrived.
async fn begun(breaker: &CircuitBreaker, address: SocketAddr) -> Streaming<HealthCheckResponse> {
    let mut client = client(breaker, address);
    let mut stream = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    stream
}

#[tokio::test]
async fn a_stream_dropped_before_its_status_is_abandoned() {
    let address = Endless::serve().await;
    let neutral = breaker();
    drop(begun(&neutral, address).await);
    assert_eq!(recorded(&neutral), (0, 0));

    let counted = builder().abandoned_after(Duration::from_nanos(1)).build().unwrap();
    drop(begun(&counted, address).await);
    assert_eq!(recorded(&counted), (1, 1));
}

#[tokio::test]
async fn a_probe_whose_stream_is_dropped_gives_its_slot_back() {
    let breaker = breaker();
    breaker.force_open();
    breaker.resume();
    let stream = begun(&breaker, Endless::serve().await).await;
    assert!(breaker.try_acquire().is_err());
    drop(stream);
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_probe_whose_stream_never_ends_does_not_wedge_the_circuit() {
    let breaker = builder()
        .probe_timeout(Duration::from_millis(20))
        .open_duration(Duration::from_nanos(1))
        .build()
        .unwrap();
    breaker.force_open();
    breaker.resume();
    let held = client(&breaker, Endless::serve().await)
        .watch(HealthCheckRequest::default())
        .await
        .unwrap();
    let _next = timeout(HOUR, breaker.acquire()).await.expect("another probe");
    drop(held);
    let causes: Vec<_> = breaker.history().iter().map(Transition::cause).collect();
    let expected = [Cause::ForceOpen, Cause::Resume, Cause::ProbeTimedOut, Cause::WaitOver];
    assert_eq!(causes, expected);
}

#[tokio::test]
async fn a_stream_that_is_reset_is_a_failure() {
    let first_was_read = Arc::new(Notify::new());
    let reset = first_was_read.clone();
    let address = serve_raw(move || {
        let reset = reset.clone();
        let reset = once(async move {
            reset.notified().await;
            Err("reset")
        });
        Response::new(StreamBody::new(iter([Ok(Frame::data(MESSAGE))]).chain(reset)))
    })
    .await;
    let breaker = breaker();
    let mut stream = begun(&breaker, address).await;
    assert_eq!(recorded(&breaker), (0, 0));
    first_was_read.notify_one();
    stream.message().await.unwrap_err();
    assert_eq!(recorded(&breaker), (1, 1));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_a_failure() {
    // The port is bound, so no other process gets it, but nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let breaker = breaker();
    let mut client = client(&breaker, socket.local_addr().unwrap());
    for _ in 0..2 {
        check(&mut client).await.unwrap_err();
    }
    assert_eq!(breaker.state(), State::Open);
}
