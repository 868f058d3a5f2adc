//! A circuit breaker for [Tower](https://github.com/tower-rs/tower) services.
//!
//! When a dependency fails, hangs or slows down, a circuit breaker stops calling it for a while. Callers
//! get an error at once instead of waiting for a timeout, and the dependency gets time to recover. After
//! the wait, the breaker lets a few calls through as *probes*. If they succeed, traffic resumes.
//!
//! Add a [`CircuitBreakerLayer`] to your `ServiceBuilder`. It works with hyper, reqwest and tonic clients,
//! with the outbound calls of axum handlers, and with every other [`Service`](tower_service::Service). If
//! your code is not a Tower service, use [`CircuitBreaker::call`] or [`CircuitBreaker::try_acquire`].
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
//!     .timeout(Duration::from_secs(1)) // inside the breaker, so that a hang counts as a failure
//!     .service(service_fn(|_: &str| async { Err::<(), _>(std::io::Error::other("refused")) }));
//!
//! for _ in 0..5 {
//!     client.clone().oneshot("pay").await.unwrap_err();
//! }
//! assert_eq!(breaker.state(), State::Open);
//!
//! let error = client.oneshot("pay").await.unwrap_err(); // returned at once, nothing was sent
//! let wait = error.rejected().expect("the breaker rejected the call").retry_after();
//! # assert!(wait.is_some());
//! # });
//! ```
//!
//! # Guarantees
//!
//! * **The circuit never gets stuck.** Whatever happens to a probe (it hangs, panics, is dropped, or is
//!   never sent), another probe is admitted within twice the probe timeout plus the open wait.
//! * **There are never more probes than permitted**, however many callers arrive when the wait ends.
//! * **A late result decides nothing.** A result counts only in the period that admitted its call. A call
//!   that was sent before the circuit tripped can neither close nor reopen it afterwards.
//!
//! # What a healthy call costs
//!
//! A healthy call allocates nothing. Without a sliding window, metrics or per-key circuits, a successful
//! call does not write to shared memory at all. With a sliding window it usually updates one counter that
//! few other threads use. It takes the lock of the circuit only now and then: after a failure, and for the
//! first calls of each bucket of a time window. The README has measurements.
//!
//! # Where to find what
//!
//! | topic | items |
//! |---|---|
//! | The circuit, to inspect and to operate | [`CircuitBreaker`], [`State`], [`Snapshot`], [`TripRule`] |
//! | Settings | [`CircuitBreakerBuilder`], [`SlidingWindow`], [`Backoff`], [`HalfOpen`] |
//! | Changing settings, shadow mode | [`CircuitBreaker::reconfigure`], [`CircuitBreakerBuilder::enforcement`], [`Reconfigured`] |
//! | Surviving a restart | [`CircuitBreaker::save`], [`CircuitBreakerBuilder::primed`], [`Saved`] |
//! | Hearsay: believing one's own eyes sooner | [`CircuitBreaker::suspect`] |
//! | Settings from a file | [`Config`](struct.Config.html), with the feature `serde` |
//! | Protecting a Tower service | [`CircuitBreakerLayer`], [`CircuitBreakerService`], [`ResponseFuture`] |
//! | Protecting anything else | [`CircuitBreaker::call`], [`CircuitBreaker::call_blocking`], [`CircuitBreaker::try_acquire`], [`Permit`] |
//! | One circuit per key, such as a host | [`keyed`](keyed/index.html), with the feature `keyed` |
//! | Recovering without calls | [`CircuitBreaker::probe_with`], and for a registry [`probe_with`](keyed/struct.CircuitBreakerRegistry.html#method.probe_with) |
//! | What counts as a failure | [`Classifier`], [`Outcome`], [`ErrorsAsFailures`] |
//! | Failures of HTTP and gRPC calls | [`http`](http/index.html), [`grpc`](grpc/index.html), [`tower_http`](tower_http/index.html), with the features `http`, `grpc` and `tower-http` |
//! | Errors | [`CircuitBreakerError`], [`Rejected`], [`RejectReason`], [`ConfigError`] |
//! | Retrying calls | [`retry`](retry/index.html), with the feature `retry` |
//! | Answering rejected calls | [`CircuitBreakerLayer::fallback`], [`Fallback`] |
//! | Following what happens | [`Listener`], [`Event`], [`CircuitBreaker::subscribe`], [`Transition`], [`Cause`] |
//! | A page and an API for operators | [`admin`](admin/index.html), with the feature `admin` |
//! | Testing and tuning settings | [`replay`](replay/index.html), with the feature `replay` |
//! | Metrics and logs | [`metrics`](metrics/index.html) and `tracing`, with the features of these names |
//!
//! # Guides
//!
//! | guide | question |
//! |---|---|
//! | [`docs::layers`] | In which order do I add the layers, and what does each order do? |
//! | [`docs::http`](docs/http/index.html) | How do I protect HTTP and gRPC clients, and what should count as a failure? (built with the features `grpc` and `keyed`) |
//! | [`docs::introducing`] | How do I switch a breaker on safely, and change it while it works? |
//! | [`docs::operators`] | What do operators see, and what can they do? |
//! | [`docs::moving`] | What becomes of a program that uses failsafe, recloser or tower-resilience, and of the settings of resilience4j, Polly and gobreaker? |
//! | [`docs::compile_errors`] | It does not compile. What does the message mean, and what do I change? |
//! | [`docs::testing`] | How do I test code that uses a breaker, and its settings? |
//! | [`docs::design`] | How does it work inside, and why? |
#![cfg_attr(docsrs, feature(doc_cfg))]

// The layers. Each one imports only those above it, which `tests/layers.rs` checks.
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

#[cfg(feature = "retry")]
pub mod retry;

#[cfg(feature = "admin")]
pub mod admin;

#[cfg(feature = "replay")]
pub mod replay;

pub use crate::breaker::{CircuitBreaker, CircuitBreakerError, WeakCircuitBreaker};
#[cfg(tower_breaker_loom)]
#[doc(hidden)]
pub use crate::circuit::model;
pub use crate::circuit::{Outcome, Permit, Rejected};
#[cfg(feature = "serde")]
pub use crate::config::Config;
pub use crate::config::{CircuitBreakerBuilder, ConfigError};
pub use crate::layer::{
    CircuitBreakerLayer, CircuitBreakerService, Classifier, Describing, ErrorsAsFailures, Fallback,
    NoFallback, RejectedFuture, ResponseFuture,
};
pub use crate::machine::{
    Backoff, Cause, HalfOpen, OperatorAction, Reconfigured, RejectReason, Saved, SlidingWindow,
    State,
};
#[cfg(feature = "metrics")]
pub use crate::observe::metrics;
pub use crate::observe::{
    Ending, Event, EventKind, Interest, Lagged, LastFailure, Listener, Operator, Reconfiguration,
    SettingChange, Settled, Transition, Transitions,
};
pub use crate::snapshot::{Snapshot, TripRule};

/// Guides.
#[cfg(any(doc, doctest))]
pub mod docs {
    #[doc = include_str!("docs/compile_errors.md")]
    pub mod compile_errors {}

    #[doc = include_str!("docs/design.md")]
    pub mod design {}

    #[cfg(all(feature = "grpc", feature = "keyed"))]
    #[doc = include_str!("docs/http.md")]
    pub mod http {}

    #[doc = include_str!("docs/introducing.md")]
    pub mod introducing {}

    #[doc = include_str!("docs/layers.md")]
    pub mod layers {}

    /// Moving here from another circuit breaker.
    pub mod moving {
        #[doc = include_str!("docs/moving/failsafe.md")]
        pub mod failsafe {}

        #[doc = include_str!("docs/moving/other_languages.md")]
        pub mod other_languages {}

        #[doc = include_str!("docs/moving/recloser.md")]
        pub mod recloser {}

        #[doc = include_str!("docs/moving/tower_resilience.md")]
        pub mod tower_resilience {}
    }

    #[doc = include_str!("docs/operators.md")]
    pub mod operators {}

    #[doc = include_str!("docs/testing.md")]
    pub mod testing {}
}

/// Compiles and runs the examples of the README. One of them needs the feature `http`.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;
