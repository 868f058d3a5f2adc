//! Outcomes of gRPC calls, by the status in the head or in the trailers. Requires the feature `grpc`.
//!
//! A gRPC server answers with HTTP status 200 whatever happens. The status of the call is in
//! `grpc-status`, which usually comes in the trailers. [`GrpcClassifier`] waits for it: the permit moves
//! into the body, which becomes a [`ResponseBody`](crate::http::ResponseBody) and settles the call at its
//! end. The classifier works with every client that is a Tower service, such as tonic's `Channel`.
//!
//! | what comes back | outcome |
//! |---|---|
//! | `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNKNOWN`, `DATA_LOSS` | failure |
//! | `RESOURCE_EXHAUSTED` | [soft failure](crate::Outcome::SoftFailure): overloaded, not broken |
//! | `CANCELLED`, with which the timeout of a tonic server answers | failure |
//! | `OK` and all other codes, because a healthy server sends them | success |
//! | an HTTP status other than 200 without `grpc-status`, which a proxy sends | that of the code in gRPC's ["HTTP to gRPC Status Code Mapping"][map] |
//! | a stream that ends without `grpc-status`, or with a malformed one | that of `UNKNOWN` |
//! | a stream that ends with an error, or panics when it is polled | failure |
//! | an error of the transport, such as a refused connection, a reset or a timeout | failure |
//! | a stream that is dropped before its status | abandoned, which is neutral |
//! | a stream that is dropped after a silence of at least [`abandoned_after`], if that is set | failure |
//! | `grpc-retry-pushback-ms` ([gRFC A6]) next to a status that is a failure or a soft failure | if the circuit opens before this time has passed, it stays open [at least until then](crate::http::retry_after()) |
//!
//! ```
//! use tonic::transport::Channel;
//! use tonic_health::pb::health_client::HealthClient;
//! use tower::ServiceBuilder;
//! use tower_breaker::grpc::GrpcClassifier;
//! use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let channel = Channel::from_static("http://[::1]:50051").connect_lazy();
//! let breaker = CircuitBreaker::new("health");
//! let layer = CircuitBreakerLayer::new(breaker).classifier(GrpcClassifier::new());
//! let client = HealthClient::new(ServiceBuilder::new().layer(layer).service(channel));
//! # let _ = client;
//! # });
//! ```
//!
//! [`GrpcClassifier`] has a setter for each outcome, which changes the table for one code.
//!
//! A `CANCELLED` that arrives as a status is the answer of the server. If the *caller* cancels, it drops the
//! call, and no status arrives.
//!
//! A call lasts until its status arrives. Therefore a probe whose stream outlives [`probe_timeout`] fails. Give calls that subscribe to something a circuit of their own, and settle them at the head
//! with an [`HttpClassifier`](crate::http::HttpClassifier).
//!
//! # What a rejected caller sees
//!
//! tonic turns the rejection into a `Status` with the code `Unknown`, which it uses for every error that it
//! does not know. The [`source`](std::error::Error::source) of this `Status` is the
//! [`Rejected`](crate::Rejected). To return another code, answer with a status in a fallback:
//!
//! ```
//! # use tonic::transport::Channel;
//! # use tonic_health::pb::health_client::HealthClient;
//! # use tower::ServiceBuilder;
//! use tonic::{Code, Status, body::Body};
//! use tonic_health::pb::HealthCheckRequest;
//! # use tower_breaker::grpc::GrpcClassifier;
//! use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Rejected};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let channel = Channel::from_static("http://[::1]:50051").connect_lazy();
//! let breaker = CircuitBreaker::new("health");
//! let layer = CircuitBreakerLayer::new(breaker.clone())
//!     .classifier(GrpcClassifier::new())
//!     .fallback(|_: http::Request<Body>, rejected: Rejected| async move {
//!         Ok(Status::unavailable(rejected.to_string()).into_http())
//!     });
//! let mut client = HealthClient::new(ServiceBuilder::new().layer(layer).service(channel));
//!
//! breaker.trip();
//! let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
//! assert_eq!(status.code(), Code::Unavailable);
//! # });
//! ```
//!
//! [map]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
//! [gRFC A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
//! [`abandoned_after`]: crate::CircuitBreakerBuilder::abandoned_after
//! [`probe_timeout`]: crate::CircuitBreakerBuilder::probe_timeout

mod classifier;
mod code;
mod unavailable;

pub use self::classifier::GrpcClassifier;
pub use self::code::GrpcCode;
pub use self::unavailable::Unavailable;
