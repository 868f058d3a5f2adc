//! Which codes are failures, in the head and in the trailers.

use http::{Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tower_breaker::grpc::{GrpcClassifier, GrpcCode};
use tower_breaker::{Outcome, State};

use crate::servers::{Ending, raw, serve_health, serve_raw, trailers};
use crate::{breaker, check, client, client_with, is_rejection, recorded, watch};

#[tokio::test]
async fn a_streaming_call_that_fails_in_its_trailers_trips() {
    let breaker = breaker();
    let address = Ending::serve(Status::unavailable("down")).await;
    let mut client = client(&breaker, address);
    for _ in 0..2 {
        assert_eq!(watch(&mut client).await.unwrap_err().code(), Code::Unavailable);
    }
    assert_eq!(breaker.state(), State::Open);
    assert!(is_rejection(&watch(&mut client).await.unwrap_err()));
}

#[tokio::test]
async fn a_unary_call_that_fails_in_its_trailers_trips() {
    let breaker = breaker();
    let address = serve_raw(|| raw(Some(trailers("grpc-status", "14")))).await;
    let mut client = client(&breaker, address);
    for _ in 0..2 {
        assert_eq!(check(&mut client).await.unwrap_err().code(), Code::Unavailable);
    }
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_call_that_fails_in_its_head_trips() {
    let breaker = breaker();
    let mut client = client(&breaker, Ending::serve(Status::internal("bug")).await);
    for _ in 0..2 {
        assert_eq!(check(&mut client).await.unwrap_err().code(), Code::Internal);
    }
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn not_found_does_not_trip() {
    let breaker = breaker();
    let mut client = client(&breaker, serve_health().await);
    for _ in 0..5 {
        let request = HealthCheckRequest { service: "unknown".into() };
        assert_eq!(client.check(request).await.unwrap_err().code(), Code::NotFound);
    }
    client.check(HealthCheckRequest { service: "known".into() }).await.unwrap();
    assert_eq!(recorded(&breaker), (6, 0));
}

/// Returns the default outcome of a code.
fn default(code: Code) -> Outcome {
    match code {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::Unknown
        | Code::DataLoss
        | Code::Cancelled => Outcome::Failure,
        Code::ResourceExhausted => Outcome::SoftFailure,
        _ => Outcome::Success,
    }
}

/// Returns the outcome of a code in the head, and in the trailers.
async fn outcomes(classifier: GrpcClassifier, code: Code) -> [Outcome; 2] {
    let address = Ending::serve(Status::new(code, "")).await;
    let [in_head, in_trailers] = [breaker(), breaker()];
    let _ = check(&mut client_with(classifier, &in_head, address)).await;
    let _ = watch(&mut client_with(classifier, &in_trailers, address)).await;
    [in_head, in_trailers].map(|breaker| match recorded(&breaker) {
        (1, 0) => Outcome::Success,
        (1, 1) if breaker.snapshot().consecutive_failures() == 0 => Outcome::SoftFailure,
        (1, 1) => Outcome::Failure,
        _ => Outcome::Ignored,
    })
}

#[tokio::test]
async fn all_codes_have_their_default_outcome_in_the_head_and_in_the_trailers() {
    for code in (0..=16).map(Code::from) {
        let seen = outcomes(GrpcClassifier::new(), code).await;
        assert_eq!(seen, [default(code); 2], "{code:?}");
    }
}

#[tokio::test]
async fn the_outcome_of_each_code_can_be_changed() {
    let classifier = GrpcClassifier::new()
        .failure(GrpcCode::Aborted)
        .soft_failure(GrpcCode::Unavailable)
        .ignored(GrpcCode::Cancelled)
        .success(GrpcCode::ResourceExhausted)
        .ignored(GrpcCode::DeadlineExceeded);
    for code in (0..=16).map(Code::from) {
        let expected = match code {
            Code::Aborted => Outcome::Failure,
            Code::Unavailable => Outcome::SoftFailure,
            Code::ResourceExhausted => Outcome::Success,
            Code::Cancelled | Code::DeadlineExceeded => Outcome::Ignored,
            code => default(code),
        };
        assert_eq!(outcomes(classifier, code).await, [expected; 2], "{code:?}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_a_status_or_with_a_malformed_one_is_unknown() {
    let without = serve_raw(|| raw(None)).await;
    let malformed = serve_raw(|| raw(Some(trailers("grpc-status", "fine")))).await;
    let other_trailers = serve_raw(|| raw(Some(trailers("x-checksum", "1")))).await;
    for address in [without, malformed, other_trailers] {
        let [by_default, unknown_ignored] = [breaker(), breaker()];
        let _ = watch(&mut client(&by_default, address)).await;
        assert_eq!(recorded(&by_default), (1, 1));
        let classifier = GrpcClassifier::new().ignored(GrpcCode::Unknown);
        let _ = watch(&mut client_with(classifier, &unknown_ignored, address)).await;
        assert_eq!(recorded(&unknown_ignored), (0, 0));
    }
}

fn http_only(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

#[tokio::test]
async fn the_http_status_of_a_proxy_is_mapped() {
    let bad_gateway = serve_raw(|| http_only(StatusCode::BAD_GATEWAY)).await;
    let breaker = breaker();
    let mut to_bad_gateway = client(&breaker, bad_gateway);
    assert_eq!(check(&mut to_bad_gateway).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(recorded(&breaker), (1, 1));

    let not_found = serve_raw(|| http_only(StatusCode::NOT_FOUND)).await;
    let mut to_nothing = client(&breaker, not_found);
    assert_eq!(check(&mut to_nothing).await.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(recorded(&breaker), (2, 1));
}
