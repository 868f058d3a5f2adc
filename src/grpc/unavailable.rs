//! [`Unavailable`]: answers rejected calls with a status.

use std::fmt::Write;
use std::future::{Ready, ready};
use std::time::Duration;

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderValue, Response};

use super::code::GrpcCode;
use crate::breaker::CircuitBreakerError;
use crate::circuit::Rejected;
use crate::layer::Fallback;

/// A [`Fallback`] that answers rejected calls with the status `UNAVAILABLE` and `grpc-retry-pushback-ms`.
///
/// The message of the status is that of the [`Rejected`], which names the breaker. The pushback
/// ([gRFC A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback)) is in whole
/// milliseconds, rounded up, and at least 1. If the circuit is forced open until somebody resumes it,
/// there is no pushback, because it is not known when the next call will be admitted.
///
/// The fallback works for clients and for servers: with every body that has a `Default`, such as
/// `tonic::body::Body` and [`ResponseBody`](crate::http::ResponseBody).
///
/// The [`Rejected`] is among the [extensions](Response::extensions) of the response, for layers outside.
///
/// # Example
/// ```
/// use tonic::Code;
/// use tonic::transport::Channel;
/// use tonic_health::pb::HealthCheckRequest;
/// use tonic_health::pb::health_client::HealthClient;
/// use tower::ServiceBuilder;
/// use tower_breaker::grpc::{GrpcClassifier, Unavailable};
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let channel = Channel::from_static("http://[::1]:50051").connect_lazy();
/// let breaker = CircuitBreaker::new("health");
/// let layer = CircuitBreakerLayer::new(breaker.clone())
///     .classifier(GrpcClassifier::new())
///     .fallback(Unavailable);
/// let mut client = HealthClient::new(ServiceBuilder::new().layer(layer).service(channel));
///
/// breaker.trip();
/// let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
/// assert_eq!(status.code(), Code::Unavailable);
/// assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));
/// # });
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unavailable;

impl Unavailable {
    /// Returns the response to a rejected call, for code that is not a fallback.
    #[must_use]
    pub fn response<B: Default>(rejected: Rejected) -> Response<B> {
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", (GrpcCode::Unavailable as i32).into());
        headers.insert("grpc-message", message(&rejected.to_string()));
        if let Some(wait) = rejected.retry_after() {
            headers.insert("grpc-retry-pushback-ms", pushback(wait).into());
        }
        response.extensions_mut().insert(rejected);
        response
    }
}

impl<Request, B: Default, E> Fallback<Request, Response<B>, E> for Unavailable {
    type Future = Ready<Result<Response<B>, CircuitBreakerError<E>>>;

    fn answer(&self, _: Request, rejected: Rejected) -> Self::Future {
        ready(Ok(Self::response(rejected)))
    }
}

/// Encodes a message as gRPC requires: every byte that is not printable ASCII, and the percent sign, as
/// `%` and two digits.
fn message(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte.into()),
            _ => write!(encoded, "%{byte:02X}").expect("writing to a string never fails"),
        }
    }
    HeaderValue::try_from(encoded).expect("printable ASCII is a valid header value")
}

/// The longest pushback that fits: it is a signed number of 32 bits.
fn pushback(wait: Duration) -> i32 {
    let millis = wait.as_nanos().div_ceil(1_000_000).max(1);
    i32::try_from(millis).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pushback_is_rounded_up_and_saturates() {
        let nanos = Duration::from_nanos;
        let cases = [
            (Duration::ZERO, 1),
            (nanos(1), 1),
            (nanos(1_000_000), 1),
            (nanos(1_000_001), 2),
            (Duration::from_secs(5), 5000),
            (Duration::MAX, i32::MAX),
        ];
        for (wait, expected) in cases {
            assert_eq!(pushback(wait), expected, "{wait:?}");
        }
    }

    proptest! {
        #[test]
        fn every_message_arrives_at_a_client_of_tonic(text in ".*") {
            let mut headers = ::http::HeaderMap::new();
            headers.insert("grpc-status", 14.into());
            headers.insert("grpc-message", message(&text));
            let status = tonic::Status::from_header_map(&headers).unwrap();
            prop_assert_eq!(status.message(), text);
        }
    }
}
