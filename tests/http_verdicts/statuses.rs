//! Which response heads are failures.

use std::io;

use http::{HeaderMap, Response, StatusCode};
use tower_breaker::http::HttpClassifier;
use tower_breaker::{CircuitBreaker, Classifier, Outcome};

use crate::scripted::{Scripted, Step};
use crate::{breaker, half_open, recorded};

fn response(status: u16) -> Response<Scripted> {
    let body = Scripted::new([Step::data("body")]);
    Response::builder().status(status).body(body).unwrap()
}

/// Returns the outcome of a status at the head, which must be the same with and without
/// `at_end_of_stream`.
fn outcome<P>(classifier: &HttpClassifier<P>, status: u16) -> Outcome
where
    P: Fn(StatusCode, &HeaderMap) -> Option<Outcome> + Clone,
{
    let at_end = classifier.clone().at_end_of_stream();
    let [at_head, at_end] = [
        settled(|breaker| {
            let permit = breaker.try_acquire().unwrap();
            drop(Classifier::<_, io::Error>::response(classifier, response(status), permit));
        }),
        settled(|breaker| {
            let permit = breaker.try_acquire().unwrap();
            drop(Classifier::<_, io::Error>::response(&at_end, response(status), permit));
        }),
    ];
    assert_eq!(at_head, at_end, "{status}");
    at_head
}

fn settled(call: impl FnOnce(&CircuitBreaker)) -> Outcome {
    let breaker = breaker();
    call(&breaker);
    match recorded(&breaker) {
        (1, 0) => Outcome::Success,
        (1, 1) if breaker.snapshot().consecutive_failures() == 0 => Outcome::SoftFailure,
        (1, 1) => Outcome::Failure,
        _ => Outcome::Ignored,
    }
}

#[test]
fn server_errors_timeouts_and_invalid_statuses_are_failures_and_nothing_else_is() {
    for status in 100..=999 {
        let is_failure = status == 408 || status >= 500;
        let expected = if is_failure { Outcome::Failure } else { Outcome::Success };
        assert_eq!(outcome(&HttpClassifier::new(), status), expected, "{status}");
    }
}

#[test]
fn errors_are_failures() {
    let classifier = HttpClassifier::new();
    let error = io::Error::other("refused");
    let outcome = settled(|breaker| {
        let permit = breaker.try_acquire().unwrap();
        Classifier::<Response<Scripted>, _>::error(&classifier, &error, permit);
    });
    assert_eq!(outcome, Outcome::Failure);
    let outcome = settled(|breaker| {
        let permit = breaker.try_acquire().unwrap();
        let classifier = classifier.at_end_of_stream();
        Classifier::<Response<Scripted>, _>::error(&classifier, &error, permit);
    });
    assert_eq!(outcome, Outcome::Failure);
}

#[test]
fn statuses_can_be_added_and_removed() {
    let classifier = HttpClassifier::new()
        .failure(StatusCode::TOO_MANY_REQUESTS)
        .failure(StatusCode::REQUEST_TIMEOUT)
        .success(StatusCode::REQUEST_TIMEOUT)
        .success(StatusCode::NOT_IMPLEMENTED)
        .soft_failure(StatusCode::SERVICE_UNAVAILABLE)
        .failure(StatusCode::CONFLICT)
        .soft_failure(StatusCode::CONFLICT);
    let failures: Vec<_> =
        (100..600).filter(|&status| outcome(&classifier, status) == Outcome::Failure).collect();
    let expected = (500..600).filter(|&status| status != 501 && status != 503);
    assert_eq!(failures, [429].into_iter().chain(expected).collect::<Vec<_>>());
    let soft_failures: Vec<_> =
        (100..600).filter(|&status| outcome(&classifier, status) == Outcome::SoftFailure).collect();
    assert_eq!(soft_failures, [409, 503]);
}

#[test]
fn the_predicate_is_asked_first_and_can_leave_the_decision_to_the_status() {
    let classifier = HttpClassifier::new().head(|status, _| match status.as_u16() {
        404 => Some(Outcome::Failure),
        502 => Some(Outcome::Success),
        503 => Some(Outcome::Ignored),
        _ => None,
    });
    for (status, expected) in [
        (200, Outcome::Success),
        (404, Outcome::Failure),
        (500, Outcome::Failure),
        (502, Outcome::Success),
        (503, Outcome::Ignored),
    ] {
        assert_eq!(outcome(&classifier, status), expected, "{status}");
    }
}

#[test]
fn the_predicate_sees_the_headers() {
    let classifier = HttpClassifier::new().head(|_, headers: &HeaderMap| {
        headers.contains_key("x-degraded").then_some(Outcome::Failure)
    });
    let outcome = settled(|breaker| {
        let mut degraded = response(200);
        degraded.headers_mut().insert("x-degraded", "1".parse().unwrap());
        let permit = breaker.try_acquire().unwrap();
        Classifier::<_, io::Error>::response(&classifier, degraded, permit);
    });
    assert_eq!(outcome, Outcome::Failure);
}

#[test]
fn an_ignored_head_frees_the_probe_slot_before_its_body_ends() {
    let breaker = half_open();
    let classifier = HttpClassifier::new().head(|_, _| Some(Outcome::Ignored)).at_end_of_stream();
    let permit = breaker.try_acquire().unwrap();
    let held = Classifier::<_, io::Error>::response(&classifier, response(200), permit);
    breaker.try_acquire().unwrap().ignore();
    drop(held);
}

#[test]
fn a_panicking_predicate_abandons_the_call() {
    let breaker = half_open();
    let classifier = HttpClassifier::new().head(|_, _| panic!("a panic")).at_end_of_stream();
    let permit = breaker.try_acquire().unwrap();
    let call = || drop(Classifier::<_, io::Error>::response(&classifier, response(200), permit));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_err();
    breaker.try_acquire().unwrap().ignore();
}
