//! Feeds any status, headers and trailers to the HTTP and gRPC classifiers.
//!
//! Nothing panics, malformed headers are ignored, every verdict is the documented one, and no server
//! keeps a circuit open for longer than `max_retry_after`.
#![no_main]

use std::convert::Infallible;
use std::future::ready;
use std::time::{Duration, SystemTime};

use arbitrary::Arbitrary;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use libfuzzer_sys::fuzz_target;
use tower_breaker::grpc::GrpcClassifier;
use tower_breaker::http::{HttpClassifier, retry_after};
use tower_breaker::{CircuitBreaker, Classifier, Outcome, SlidingWindow, State};

const WAIT: Duration = Duration::from_secs(1);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The first second of the year 10000, which no HTTP date can express.
const YEAR_10000: u64 = 253_402_300_800;

const NAMES: [HeaderName; 5] = [
    http::header::RETRY_AFTER,
    http::header::DATE,
    HeaderName::from_static("grpc-retry-pushback-ms"),
    HeaderName::from_static("grpc-status"),
    http::header::CONTENT_TYPE,
];

#[derive(Debug, Arbitrary)]
struct Answer<'a> {
    status: u16,
    headers: Vec<(u8, Text<'a>)>,
    body: &'a [u8],
    trailers: Option<Vec<(u8, Text<'a>)>>,
    reads_the_body: bool,
}

/// The value of a header. Random bytes alone would rarely be valid.
#[derive(Debug, Arbitrary)]
enum Text<'a> {
    Bytes(&'a [u8]),
    Small(u8),
    Number(u64),
    Date(u64),
}

fuzz_target!(|answer: Answer<'_>| {
    let status = StatusCode::from_u16(answer.status % 900 + 100).expect("100 to 999");
    let headers = headers(&answer.headers);
    let trailers = answer.trailers.as_deref().map(self::headers);
    check_retry_after(&headers);

    let by_http = match status.as_u16() {
        408 | 500.. => Outcome::Failure,
        _ => Outcome::Success,
    };
    let http = Expected { outcome: Some(by_http), asked_by: Some(&headers) };
    // If no verdict was given when the body is dropped, the call is abandoned. To HTTP it is a success.
    let (number, asked_by) = match code(&headers) {
        Some(code) => (Some(code), Some(&headers)),
        None if status != StatusCode::OK => (Some(code_of_http(status)), Some(&headers)),
        None if !answer.reads_the_body => (None, None),
        None => (Some(trailers.as_ref().and_then(code).unwrap_or(2)), trailers.as_ref()),
    };
    let grpc = Expected { outcome: number.map(outcome_of_code), asked_by };

    let response = || {
        let body = Full::new(answer.body).with_trailers(ready(trailers.clone().map(Ok)));
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers.clone();
        response
    };
    let reads = answer.reads_the_body;
    http.check(reads, &HttpClassifier::new(), response());
    http.check(reads, &HttpClassifier::new().at_end_of_stream(), response());
    grpc.check(reads, &GrpcClassifier::new(), response());
});

fn headers(pairs: &[(u8, Text<'_>)]) -> HeaderMap {
    let pairs = pairs.iter().filter_map(|(name, text)| {
        let value = match text {
            Text::Bytes(bytes) => HeaderValue::from_bytes(bytes).ok()?,
            Text::Small(number) => u16::from(*number).into(),
            Text::Number(number) => (*number).into(),
            Text::Date(seconds) => {
                let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds % YEAR_10000);
                httpdate::fmt_http_date(date).try_into().expect("a date is text")
            }
        };
        Some((NAMES[usize::from(*name) % NAMES.len()].clone(), value))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}

/// The wait is the seconds or the date of `Retry-After`, else the milliseconds of the pushback, else none.
fn check_retry_after(headers: &HeaderMap) {
    let text = |name: usize| headers.get(&NAMES[name])?.to_str().ok();
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let wait = retry_after(headers);
    match (text(0).map(digits), text(0).and_then(date), text(1).and_then(date)) {
        (Some(Some(seconds)), ..) => assert_eq!(wait, Some(Duration::from_secs(seconds))),
        (_, Some(at), Some(now)) => {
            assert_eq!(wait, Some(at.duration_since(now).unwrap_or_default()));
        }
        (_, Some(_), None) => assert!(wait.is_some()), // it is relative to the present time
        _ => assert_eq!(wait, text(2).and_then(digits).map(Duration::from_millis)),
    }
}

fn digits(text: &str) -> Option<u64> {
    let mut number = (!text.is_empty()).then_some(0_u64)?;
    for digit in text.chars() {
        number = number.saturating_mul(10).saturating_add(digit.to_digit(10)?.into());
    }
    Some(number)
}

fn code(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("grpc-status")?.to_str().ok();
    Some(text.and_then(digits).filter(|code| *code <= 16).unwrap_or(2))
}

fn code_of_http(status: StatusCode) -> u64 {
    match status.as_u16() {
        400 | 431 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

fn outcome_of_code(code: u64) -> Outcome {
    match code {
        // A soft failure, such as 8, opens this circuit as well.
        1 | 2 | 4 | 8 | 13 | 14 | 15 => Outcome::Failure,
        _ => Outcome::Success,
    }
}

struct Expected<'a> {
    /// The outcome of the call, or `None` if it is abandoned.
    outcome: Option<Outcome>,
    /// The headers or trailers whose retry-after counts.
    asked_by: Option<&'a HeaderMap>,
}

impl Expected<'_> {
    fn check<B, C, D>(&self, reads: bool, classifier: &C, response: Response<B>)
    where
        C: Classifier<Response<B>, Infallible, Response = Response<D>>,
        D: Body<Error = Infallible>,
    {
        let breaker = CircuitBreaker::builder("fuzz")
            .failure_rate_threshold(1.0)
            .sliding_window(SlidingWindow::count(1))
            .open_duration(tower_breaker::Backoff::constant(WAIT).jitter(0.0))
            .max_retry_after(MAX_RETRY_AFTER)
            .build()
            .expect("the settings are valid");
        let permit = breaker.try_acquire().expect("a new circuit is closed");
        let body = classifier.response(response, permit).into_body();
        if reads {
            let collected = body.collect().now_or_never();
            collected.expect("the body is always ready").expect("the body has no errors");
        } else {
            drop(body);
        }

        let snapshot = breaker.snapshot();
        let seen = match (snapshot.calls(), snapshot.state()) {
            (1, State::Open) => Some(Outcome::Failure),
            (1, State::Closed) => Some(Outcome::Success),
            (0, State::Closed) => None,
            _ => panic!("{snapshot}"),
        };
        assert_eq!(seen, self.outcome);
        if let Some(opened) = breaker.history().last() {
            let wait = opened.open_duration().expect("the circuit is not forced open");
            assert!((WAIT..=MAX_RETRY_AFTER).contains(&wait), "{wait:?}");
            // A date without a `Date` header is relative to the present time, which the test does not know.
            let asked = self.asked_by.filter(|it| it.contains_key("date") || !has_date(it));
            if let Some(asked) = asked.map(retry_after) {
                let expected = asked.unwrap_or_default().clamp(WAIT, MAX_RETRY_AFTER);
                // The time runs from the report on, and the circuit opens a moment later.
                let late = expected.checked_sub(wait).expect("it is not longer");
                assert!(late < Duration::from_secs(1), "{wait:?} instead of {expected:?}");
            }
        }
    }
}

fn has_date(headers: &HeaderMap) -> bool {
    let text = headers.get("retry-after").and_then(|text| text.to_str().ok());
    text.is_some_and(|text| httpdate::parse_http_date(text).is_ok())
}
