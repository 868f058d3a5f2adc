//! Verdicts for HTTP: which responses are failures, at the head or at the end of the body, and
//! `Retry-After`. Needs the feature `http`.
//!
//! To Tower a response is a success, whatever its status, and the call is over when the head has
//! come. [`HttpClassifier`] knows better. By default:
//!
//! | what comes back | verdict |
//! |---|---|
//! | an error of the inner service: refused, reset, timed out | failure |
//! | a 5xx, or an invalid status of 600 and above | failure |
//! | any other status: a 4xx shows a healthy callee | success |
//! | `Retry-After` on a failure | if the circuit opens, it stays open [at least that long](retry_after()) |
//!
//! It fits every service that answers with an [`http::Response`], whatever its body and its error.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::http::HttpClassifier;
//! use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, State};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let breaker = CircuitBreaker::new("payments");
//! let client = ServiceBuilder::new()
//!     .layer(CircuitBreakerLayer::new(breaker.clone()).classifier(HttpClassifier::new()))
//!     .service(service_fn(|_: Request<()>| async {
//!         let mut response = Response::new(());
//!         *response.status_mut() = StatusCode::BAD_GATEWAY;
//!         Ok::<_, std::io::Error>(response)
//!     }));
//!
//! for _ in 0..5 {
//!     client.clone().oneshot(Request::new(())).await.unwrap();
//! }
//! assert_eq!(breaker.state(), State::Open);
//! # });
//! ```
//!
//! # To the end of the stream
//!
//! A server that dies while it sends a body has already sent its 200.
//! [`at_end_of_stream`](HttpClassifier::at_end_of_stream) keeps such a call open: the permit moves
//! into the body, which becomes a [`ResponseBody`]. Frames, trailers, size hint and errors pass
//! through it unchanged, and it allocates nothing.
//!
//! | what happens to a body whose head was a success | verdict |
//! |---|---|
//! | it is read to its end, or there is none (204, the answer to `HEAD`) | success |
//! | it breaks off | failure |
//! | it panics when it is polled | failure |
//! | it is dropped before its end: the caller has seen enough | success |
//! | it belongs to a probe, and none of this happens within [`probe_timeout`] | failure |
//!
//! A head that is a failure, or that the [predicate](HttpClassifier::head) has ignored, is settled at
//! once: its body is not looked at.
//!
//! The call lasts as long as its body then. So [`slow_call_duration_threshold`] measures how fast the
//! caller reads, too, and a stream that lives longer than [`probe_timeout`], such as server-sent
//! events, makes every probe fail: judge those at the head.
//!
//! [`probe_timeout`]: crate::CircuitBreakerBuilder::probe_timeout
//! [`slow_call_duration_threshold`]: crate::CircuitBreakerBuilder::slow_call_duration_threshold
//!
//! ```
//! use http::header::CONTENT_TYPE;
//! use http::{HeaderMap, Request, Response, StatusCode};
//! use http_body_util::BodyExt;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::http::HttpClassifier;
//! use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Outcome, Rejected};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let classifier = HttpClassifier::new()
//!     .failure(StatusCode::TOO_MANY_REQUESTS) // it is too much for it
//!     .success(StatusCode::NOT_IMPLEMENTED) // it will never be better
//!     .head(|_: StatusCode, headers: &HeaderMap| {
//!         let is_events = headers.get(CONTENT_TYPE).is_some_and(|it| it == "text/event-stream");
//!         is_events.then_some(Outcome::Ignored) // they last for hours
//!     })
//!     .at_end_of_stream();
//!
//! let breaker = CircuitBreaker::new("catalogue");
//! let layer = CircuitBreakerLayer::new(breaker.clone())
//!     .classifier(classifier)
//!     // Bodies without a permit are made from the body alone.
//!     .fallback(|_, _: Rejected| async { Ok(Response::new("stale".to_owned().into())) });
//!
//! let client = ServiceBuilder::new().layer(layer).service(service_fn(|_: Request<()>| async {
//!     Ok::<_, std::io::Error>(Response::new("fresh".to_owned()))
//! }));
//!
//! let response = client.clone().oneshot(Request::new(())).await.unwrap();
//! assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "fresh");
//! breaker.trip();
//! let response = client.oneshot(Request::new(())).await.unwrap();
//! assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "stale");
//! # });
//! ```

mod body;
mod classifier;
mod retry_after;
mod status_set;

pub use self::body::{AtEndOfStream, EndOfStream, ResponseBody};
pub use self::classifier::{AtHead, HttpClassifier, NoPredicate};
#[cfg(feature = "grpc")]
pub(crate) use self::retry_after::digits;
pub use self::retry_after::retry_after;
#[cfg(any(feature = "grpc", feature = "tower-http"))]
pub(crate) use self::retry_after::settle;
