//! `grpc-retry-pushback-ms` from a real socket to `Rejected::retry_after`.

use std::error::Error;
use std::time::Duration;

use tonic::Status;
use tonic::metadata::MetadataMap;
use tower_breaker::{Cause, Rejected, State};

use crate::servers::{Ending, serve_raw};
use crate::{builder, check, client, watch};

/// How long the circuit stays open without a pushback.
const OPEN: Duration = Duration::from_secs(1);

/// Returns `UNAVAILABLE` with a pushback.
fn pushing_back(pushback: &'static str) -> Status {
    status(tonic::Code::Unavailable, pushback)
}

fn status(code: tonic::Code, pushback: &'static str) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
    Status::with_metadata(code, "busy", metadata)
}

/// Makes two calls that end with a status. Returns how long the third caller has to wait: with the status in
/// the head, and in the trailers.
async fn waits_after(status: Status) -> [Duration; 2] {
    let address = Ending::serve(status).await;
    let [in_head, in_trailers] = [(); 2].map(|()| builder().open_duration(OPEN).build().unwrap());
    let (mut checks, mut watches) = (client(&in_head, address), client(&in_trailers, address));
    for _ in 0..2 {
        check(&mut checks).await.unwrap_err();
        watch(&mut watches).await.unwrap_err();
    }
    [check(&mut checks).await, watch(&mut watches).await].map(|result| wait(&result.unwrap_err()))
}

fn wait(status: &Status) -> Duration {
    let rejected = status.source().unwrap().downcast_ref::<Rejected>().unwrap();
    rejected.retry_after().unwrap()
}

/// Returns whether a wait of which little has passed was this long.
fn is(wait: Duration, whole: Duration) -> bool {
    whole / 2 < wait && wait <= whole * 11 / 10 // stretched by up to a tenth
}

#[tokio::test]
async fn the_circuit_stays_open_for_as_long_as_the_server_asks() {
    for wait in waits_after(pushing_back("120000")).await {
        assert!(is(wait, Duration::from_secs(120)), "{wait:?}");
    }
}

#[tokio::test]
async fn a_hostile_server_cannot_keep_the_circuit_open_for_a_year() {
    for pushback in ["31536000000", "99999999999999999999999999"] {
        for wait in waits_after(pushing_back(pushback)).await {
            assert!(is(wait, Duration::from_secs(300)), "{pushback}: {wait:?}");
        }
    }
}

#[tokio::test]
async fn a_malformed_or_negative_pushback_is_ignored() {
    for pushback in ["-1", "-120000", "soon", "", "1e6", "+120000"] {
        for wait in waits_after(pushing_back(pushback)).await {
            assert!(wait <= OPEN, "{pushback}: {wait:?}");
        }
    }
}

#[tokio::test]
async fn with_trip_on_retry_after_one_status_opens_the_circuit() {
    for code in [tonic::Code::Unavailable, tonic::Code::ResourceExhausted] {
        let breaker = builder().trip_on_retry_after(true).build().unwrap();
        let mut client = client(&breaker, Ending::serve(status(code, "120000")).await);
        watch(&mut client).await.unwrap_err();
        assert_eq!(breaker.state(), State::Open);
        assert_eq!(breaker.history().last().unwrap().cause(), Cause::RetryAfter);
    }
}

#[tokio::test]
async fn the_retry_after_of_a_proxy_that_does_not_speak_grpc_is_honoured() {
    let breaker = builder().trip_on_retry_after(true).open_duration(OPEN).build().unwrap();
    let busy = || {
        let response = http::Response::builder().status(503).header("retry-after", "120");
        response.body(String::new()).unwrap()
    };
    let mut client = client(&breaker, serve_raw(busy).await);
    check(&mut client).await.unwrap_err();
    let wait = wait(&check(&mut client).await.unwrap_err());
    assert!(is(wait, Duration::from_secs(120)), "{wait:?}");
}
