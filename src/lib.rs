//! A circuit breaker for [Tower](https://github.com/tower-rs/tower) services.
//!
//! When a dependency fails, hangs or slows down, calls to it should fail fast instead of piling up,
//! it should get air to recover, and traffic should come back by itself through a few probes. Put a
//! [`CircuitBreakerLayer`] on a `ServiceBuilder` for that; it works with
//! hyper, reqwest and tonic clients, with the outbound calls of axum handlers, and with anything else
//! that is a [`Service`](tower_service::Service). For what is none there is
//! [`CircuitBreaker::call`] and [`CircuitBreaker::try_acquire`].
//!
//! # Quick start
//!
//! ```
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, State};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let breaker = CircuitBreaker::new("payments"); // one for each dependency
//!
//! let client = ServiceBuilder::new()
//!     .layer(CircuitBreakerLayer::new(breaker.clone()))
//!     .timeout(Duration::from_secs(1)) // inside, so that a hang is a failure
//!     .service(service_fn(|_: &str| async { Err::<(), _>(std::io::Error::other("refused")) }));
//!
//! for _ in 0..5 {
//!     client.clone().oneshot("pay").await.unwrap_err();
//! }
//! assert_eq!(breaker.state(), State::Open);
//!
//! let error = client.oneshot("pay").await.unwrap_err(); // at once, without a call
//! let wait = error.rejected().expect("the breaker rejects it").retry_after();
//! # assert!(wait.is_some());
//! # });
//! ```
//!
//! # What is promised
//!
//! * **Never wedged.** Whatever probes do (hang, panic, be dropped, never be called), another one is
//!   admitted within the probe timeout and the open wait.
//! * **Never more probes than permitted**, however many callers come at the moment the wait ends.
//! * **A result decides only the period that admitted the call.** What was called before a trip
//!   neither closes nor reopens the circuit afterwards.
//!
//! A healthy call allocates nothing. It takes no lock either, but for the first ones of a bucket of a
//! time window, and the first after a failure. Where no window counts it, and metrics and the circuits of
//! keys do not, it writes nothing at all; where one does, it writes to memory that hardly any other core
//! reads.
//!
//! # Where to find what
//!
//! | | |
//! |---|---|
//! | the circuit, to look at and to operate | [`CircuitBreaker`], [`State`], [`Snapshot`], [`TripRule`] |
//! | its settings | [`CircuitBreakerBuilder`], [`SlidingWindow`], [`Backoff`], [`HalfOpen`] |
//! | settings from a file | [`Config`](struct.Config.html), with the feature `serde` |
//! | in front of a service | [`CircuitBreakerLayer`], [`CircuitBreakerService`], [`ResponseFuture`] |
//! | around anything else | [`CircuitBreaker::call`], [`CircuitBreaker::try_acquire`], [`Permit`] |
//! | one circuit for each key, such as a host | [`keyed`](keyed/index.html), with the feature `keyed` |
//! | what counts as a failure | [`Classifier`], [`Outcome`], [`ErrorsAsFailures`] |
//! | failures of HTTP and gRPC, features `http`, `grpc`, `tower-http` | [`http`](http/index.html), [`grpc`](grpc/index.html), [`tower_http`](tower_http/index.html) |
//! | errors | [`CircuitBreakerError`], [`Rejected`], [`RejectReason`], [`ConfigError`] |
//! | an answer in place of a rejection | [`CircuitBreakerLayer::fallback`], [`Fallback`] |
//! | what happens, as it happens | [`Listener`], [`Event`], [`CircuitBreaker::subscribe`], [`Transition`], [`Cause`] |
//! | metrics, log | [`metrics`](metrics/index.html) and `tracing`, with the features of these names: [`docs::operators`] |
//! | the order of layers, and what each order does | [`docs::layers`] |
//! | HTTP: what to count, for whom, retries, recipes, what each choice costs | [`docs::http`](docs/http/index.html), with the features `grpc` and `keyed` |
//! | what an operator sees, and does | [`docs::operators`] |
//! | how it works inside, and why so | [`docs::design`] |

// The layers, each of which imports only those above it. `tests/layers.rs` checks that.
mod machine;

mod circuit;

mod observe;

mod snapshot;

mod breaker;

mod config;

mod layer;

#[cfg(feature = "http")]
pub mod http;

#[cfg(feature = "grpc")]
pub mod grpc;

#[cfg(feature = "tower-http")]
pub mod tower_http;

#[cfg(feature = "keyed")]
pub mod keyed;

pub use crate::breaker::{CircuitBreaker, CircuitBreakerError};
#[cfg(tower_breaker_loom)]
#[doc(hidden)]
pub use crate::circuit::clock::model;
pub use crate::circuit::{Outcome, Permit, Rejected};
#[cfg(feature = "serde")]
pub use crate::config::Config;
pub use crate::config::{CircuitBreakerBuilder, ConfigError};
pub use crate::layer::{
    CircuitBreakerLayer, CircuitBreakerService, Classifier, ErrorsAsFailures, Fallback, NoFallback,
    RejectedFuture, ResponseFuture,
};
pub use crate::machine::{
    Backoff, Cause, HalfOpen, OperatorAction, RejectReason, SlidingWindow, State,
};
#[cfg(feature = "metrics")]
pub use crate::observe::metrics;
pub use crate::observe::{
    Ending, Event, EventKind, Interest, Lagged, Listener, Settled, Transition, Transitions,
};
pub use crate::snapshot::{Snapshot, TripRule};

/// Longer texts.
#[cfg(any(doc, doctest))]
pub mod docs {
    #[doc = include_str!("docs/design.md")]
    pub mod design {}

    #[cfg(all(feature = "grpc", feature = "keyed"))]
    #[doc = include_str!("docs/http.md")]
    pub mod http {}

    #[doc = include_str!("docs/layers.md")]
    pub mod layers {}

    #[doc = include_str!("docs/operators.md")]
    pub mod operators {}
}

/// The README's examples are tested like all others; one is for the feature `http`.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;
