//! `Retry-After` from a real socket to `Rejected::retry_after`.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use tower::Layer;
use tower_breaker::http::HttpClassifier;
use tower_breaker::{
    Cause, CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, RejectReason, Rejected,
    State,
};

use crate::servers::{get, http1_client, serve_bytes};
use crate::{HOUR, builder, fetch};

/// How long the circuit stays open without `Retry-After`.
const OPEN: Duration = Duration::from_secs(1);

/// Makes two calls to a server that adds these lines to its 503. Returns how long the third caller has to
/// wait.
async fn wait_after(builder: CircuitBreakerBuilder, lines: &str) -> Duration {
    let breaker = builder.open_duration(OPEN).build().unwrap();
    let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n";
    let address = serve_bytes(format!("{head}{lines}\r\n")).await;
    let mut client = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new())
        .layer(http1_client());
    for _ in 0..2 {
        let (status, _) = fetch(&mut client, get(address)).await.unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let error = fetch(&mut client, get(address)).await.unwrap_err();
    let rejected = error.downcast::<Rejected>().unwrap();
    assert_eq!(rejected.reason(), RejectReason::Open);
    rejected.retry_after().unwrap()
}

/// Returns whether a wait of which little has passed was this long.
fn is(wait: Duration, whole: Duration) -> bool {
    whole / 2 < wait && wait <= whole * 11 / 10 // stretched by up to a tenth
}

#[tokio::test]
async fn the_circuit_stays_open_for_as_many_seconds_as_the_server_asks() {
    let wait = wait_after(builder(), "retry-after: 120\r\n").await;
    assert!(is(wait, Duration::from_secs(120)), "{wait:?}");
}

#[tokio::test]
async fn the_circuit_stays_open_until_a_date_by_the_clock_of_the_server() {
    let lines =
        "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:51:37 GMT\r\n";
    let wait = wait_after(builder(), lines).await;
    assert!(is(wait, Duration::from_secs(120)), "{wait:?}");
}

#[tokio::test]
async fn without_a_date_of_the_server_the_circuit_stays_open_until_a_date_by_our_clock() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(120));
    let wait = wait_after(builder(), &format!("retry-after: {date}\r\n")).await;
    assert!(is(wait, Duration::from_secs(120)), "{wait:?}");
}

#[tokio::test]
async fn a_hostile_server_cannot_keep_the_circuit_open_for_a_year() {
    for year in ["31536000", "99999999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let lines = format!("retry-after: {year}\r\n");
        let wait = wait_after(builder(), &lines).await;
        assert!(is(wait, Duration::from_secs(300)), "{year}: {wait:?}");
        let wait = wait_after(builder().max_retry_after(HOUR), &lines).await;
        assert!(is(wait, HOUR), "{year}: {wait:?}");
    }
}

#[tokio::test]
async fn a_malformed_or_past_value_is_ignored() {
    for value in ["", "soon", "-120", "120.5", "Sun, 06 Nov 1994 08:49:37 GMT", "\u{ff}"] {
        let wait = wait_after(builder(), &format!("retry-after: {value}\r\n")).await;
        assert!(wait <= OPEN, "{value}: {wait:?}");
    }
}

/// Takes one 429 with `Retry-After`, and returns the circuit, which trips on that if the 429 counts.
async fn circuit_after_429(classifier: HttpClassifier) -> CircuitBreaker {
    let breaker = builder().trip_on_retry_after(true).open_duration(OPEN).build().unwrap();
    let answer = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n";
    let address = serve_bytes(answer).await;
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    fetch(&mut layer.layer(http1_client()), get(address)).await.unwrap();
    breaker
}

#[tokio::test]
async fn with_trip_on_retry_after_a_429_opens_the_circuit_if_it_counts_as_a_failure_of_any_kind() {
    let by_default = circuit_after_429(HttpClassifier::new()).await;
    assert_eq!(by_default.state(), State::Closed);
    for classifier in [
        HttpClassifier::new().failure(StatusCode::TOO_MANY_REQUESTS),
        HttpClassifier::new().soft_failure(StatusCode::TOO_MANY_REQUESTS),
    ] {
        let breaker = circuit_after_429(classifier).await;
        assert_eq!(breaker.history().last().unwrap().cause(), Cause::RetryAfter);
        let wait = breaker.try_acquire().unwrap_err().retry_after().unwrap();
        assert!(is(wait, Duration::from_secs(120)), "{wait:?}");
    }
}

#[tokio::test]
async fn the_retry_after_of_a_failure_at_the_head_is_honoured_at_the_end_of_the_stream_too() {
    let breaker = builder().trip_on_retry_after(true).build().unwrap();
    let head = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 120\r\n";
    let address = serve_bytes(format!("{head}content-length: 4\r\n\r\nbody")).await;
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new().at_end_of_stream());
    fetch(&mut layer.layer(http1_client()), get(address)).await.unwrap();
    assert_eq!(breaker.history().last().unwrap().cause(), Cause::RetryAfter);
}

#[tokio::test]
async fn a_success_with_retry_after_does_not_open_the_circuit() {
    let breaker = builder().trip_on_retry_after(true).build().unwrap();
    let address =
        serve_bytes("HTTP/1.1 202 Accepted\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n").await;
    let mut client = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new())
        .layer(http1_client());
    fetch(&mut client, get(address)).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}
