//! Verdicts for gRPC, by the status in the head or in the trailers, and `grpc-retry-pushback-ms`.
//! Needs the feature `grpc`.
//!
//! A gRPC server answers 200 whatever happens; the status of the call comes in `grpc-status`, mostly
//! in the trailers. [`GrpcClassifier`] waits for it: the permit moves into the body, a
//! [`ResponseBody`](crate::http::ResponseBody), which settles the call by it. It works with every
//! client that is a Tower service, such as tonic's `Channel`.
//!
//! | what comes back | verdict |
//! |---|---|
//! | `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNKNOWN`, `DATA_LOSS`, `RESOURCE_EXHAUSTED` | failure |
//! | `CANCELLED` | ignored |
//! | `OK` and all other codes: they show a healthy callee | success |
//! | an HTTP status other than 200 without `grpc-status`, from a proxy | as the code that gRPC's ["HTTP to gRPC Status Code Mapping"][map] gives it |
//! | no `grpc-status` at the end of the stream, or a malformed one | `UNKNOWN` |
//! | a stream that breaks off, or panics when it is polled | failure |
//! | an error of the transport: refused, reset, timed out | failure |
//! | a stream that is dropped before its status | abandoned: neutral, unless [`abandoned_after`] is set |
//! | `grpc-retry-pushback-ms` ([gRFC A6]) beside a status that is a failure | if the circuit opens, it stays open [at least that long](crate::http::retry_after()) |
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
//! The table can be changed code by code: see [`GrpcClassifier`].
//!
//! A call lasts until its status, so a stream that lives longer than [`probe_timeout`] makes every
//! probe fail, and one that its caller drops after [`abandoned_after`] is a failure. Give calls that
//! subscribe to something a circuit of their own, judged at the head by an
//! [`HttpClassifier`](crate::http::HttpClassifier).
//!
//! # What a rejected caller sees
//!
//! tonic turns the rejection into a `Status` with the code `Unknown`, the only one that it has for
//! errors it does not know. Its [`source`](std::error::Error::source) is the
//! [`Rejected`](crate::Rejected). Where that is not good enough, a fallback answers with a status:
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

pub use self::classifier::GrpcClassifier;
pub use self::code::GrpcCode;
