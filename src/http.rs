//! Outcomes of HTTP responses: by status, by headers, or by how the body ends. Requires the feature
//! `http`.
//!
//! Tower regards every response as a success, and a call as finished once the response head has arrived.
//! [`HttpClassifier`] looks at the response instead. By default:
//!
//! | what comes back | outcome |
//! |---|---|
//! | an error of the inner service, such as a refused connection, a reset or a timeout | failure |
//! | a 5xx, or an invalid status of 600 and above | failure |
//! | 408, with which timeouts answer: that of a server, and tower-http's `TimeoutLayer` | failure |
//! | any other status, because a healthy server sends it | success |
//! | `Retry-After` on a failure or a soft failure | if the circuit opens before this time has passed, it stays open [at least until then](retry_after()) |
//!
//! The classifier works with every service that returns an [`http::Response`], with any body type and any
//! error type.
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
//! A server that crashes while it sends a body has already sent its 200. With
//! [`at_end_of_stream`](HttpClassifier::at_end_of_stream), a call whose head is a success stays open until
//! its body ends. The permit moves into the body, which becomes a [`ResponseBody`]. Frames, trailers, size
//! hint and errors pass through it unchanged, and it allocates nothing.
//!
//! | what happens to the body | outcome |
//! |---|---|
//! | It is read to its end, or there is none (204, the response to `HEAD`). | success |
//! | It ends with an error. | failure |
//! | It panics when it is polled. | failure |
//! | It is dropped before its end, because the caller has seen enough. | success |
//! | It is dropped after a silence of at least [`abandoned_after`], if that is set. | failure |
//! | It belongs to a probe, and none of this happens within [`probe_timeout`]. | failure |
//!
//! If the head is a failure, or the [predicate](HttpClassifier::head) ignores it, the call is settled at
//! the head, and the body is not watched.
//!
//! A call that is settled at the end of its body lasts as long as the body. Therefore
//! [`slow_call_duration_threshold`] also measures how fast the caller reads, unless
//! [`slow_until`](HttpClassifier::slow_until) fixes the duration earlier, for example at the first token of a
//! language model. A probe whose stream outlives [`probe_timeout`], such as endless server-sent events, fails.
//! Settle such calls at the head.
//!
//! A body that stalls is usually dropped by a timeout around the reading. To the breaker this looks like
//! a caller who has seen enough, unless [`abandoned_after`] is set to a little less than that timeout. The
//! silence is counted from the head or from the last frame, so a caller that stops reading a healthy
//! stream does not trip the circuit.
//!
//! [`abandoned_after`]: crate::CircuitBreakerBuilder::abandoned_after
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
//!     .soft_failure(StatusCode::TOO_MANY_REQUESTS) // the server is overloaded
//!     .success(StatusCode::NOT_IMPLEMENTED) // waiting would not change it
//!     .head(|_: StatusCode, headers: &HeaderMap| {
//!         let is_events = headers.get(CONTENT_TYPE).is_some_and(|it| it == "text/event-stream");
//!         is_events.then_some(Outcome::Ignored) // such a stream lasts for hours
//!     })
//!     .at_end_of_stream();
//!
//! let breaker = CircuitBreaker::new("catalogue");
//! let layer = CircuitBreakerLayer::new(breaker.clone())
//!     .classifier(classifier)
//!     // The body of a fallback has no call to settle, so it is converted with `into()`.
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
mod by_status;
mod classifier;
mod first;
mod retry_after;
mod unavailable;

pub use self::body::{AtEndOfStream, EndOfStream, ResponseBody};
pub use self::classifier::{AtHead, HttpClassifier, NoPredicate};
pub use self::first::First;
#[cfg(feature = "grpc")]
pub(crate) use self::retry_after::digits;
pub use self::retry_after::retry_after;
#[cfg(any(feature = "grpc", feature = "tower-http"))]
pub(crate) use self::retry_after::settle;
pub use self::unavailable::Unavailable;
