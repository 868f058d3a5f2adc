//! Outcomes decided by the classifiers of [tower-http](::tower_http::classify). Requires the feature
//! `tower-http`.
//!
//! [`TowerHttpClassifier`] accepts any [`ClassifyResponse`]: those that `TraceLayer` is configured with,
//! and your own.
//!
//! | what the classifier returns or the stream does | outcome |
//! |---|---|
//! | `Ready(Ok(()))` | success |
//! | `Ready(Err(_))` | failure |
//! | `RequiresEos(_)` | the classifier decides at the end of the stream |
//! | The stream ends with an error, or panics when it is polled. | failure |
//! | The stream is dropped before its end. | abandoned, which is neutral |
//! | The stream is dropped after a silence of at least [`abandoned_after`], if that is set. | failure |
//! | The inner service returns an error. | failure |
//!
//! As with the classifiers of this crate, `Retry-After` on a failure is [honoured](crate::http::retry_after()).
//! The class of a failure does not matter, so the classifier is not asked for that of an error.
//!
//! Two of tower-http's own classifiers overlook failures that the classifiers of this crate see:
//!
//! * [`ServerErrorsAsFailures`](::tower_http::classify::ServerErrorsAsFailures) counts a 408 as a success.
//!   tower-http's `TimeoutLayer` answers with it, unless it was given another status. Use
//!   [`StatusInRangeAsFailures`](::tower_http::classify::StatusInRangeAsFailures), or give the
//!   `TimeoutLayer` the status 504.
//! * [`GrpcErrorsAsFailures`](::tower_http::classify::GrpcErrorsAsFailures) looks at `grpc-status` only. The
//!   502 of a proxy and a stream that ends without a status are successes.
//!
//! The traits are those of tower-http 0.7. Support for another minor version of tower-http comes with
//! another minor version of this crate.
//!
//! A [`MakeClassifier`](::tower_http::classify::MakeClassifier), such as a `SharedClassifier`, cannot be
//! used, because it needs the request. Pass the classifier that it makes.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Empty;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::tower_http::TowerHttpClassifier;
//! use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, State};
//! use tower_http::classify::StatusInRangeAsFailures;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let breaker = CircuitBreaker::new("payments");
//! let classifier = TowerHttpClassifier::new(StatusInRangeAsFailures::new(400..=599));
//! let client = ServiceBuilder::new()
//!     .layer(CircuitBreakerLayer::new(breaker.clone()).classifier(classifier))
//!     .service(service_fn(|_: Request<()>| async {
//!         let mut response = Response::new(Empty::<&[u8]>::new());
//!         *response.status_mut() = StatusCode::NOT_FOUND;
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
//! [`abandoned_after`]: crate::CircuitBreakerBuilder::abandoned_after

use ::http::{HeaderMap, Response};
use ::tower_http::classify::{ClassifiedResponse, ClassifyEos, ClassifyResponse};
use http_body::Body;

use crate::circuit::{Outcome, Permit};
use crate::http::{EndOfStream, ResponseBody, settle};
use crate::layer::Classifier;

/// Decides with a classifier of tower-http which responses are failures. See the [module](self).
///
/// The classifier is cloned for each call. In a [`ResponseBody`], this type holds the [`ClassifyEos`] that
/// decides at the end of the stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct TowerHttpClassifier<C>(C);

impl<C> TowerHttpClassifier<C> {
    /// Creates a classifier that asks `classifier`.
    #[must_use]
    pub fn new(classifier: C) -> Self {
        Self(classifier)
    }
}

impl<C, B, E> Classifier<Response<B>, E> for TowerHttpClassifier<C>
where
    C: ClassifyResponse + Clone,
    B: Body,
{
    type Response = Response<ResponseBody<B, TowerHttpClassifier<C::ClassifyEos>>>;

    fn response(&self, response: Response<B>, permit: Permit) -> Self::Response {
        match self.0.clone().classify_response(&response) {
            ClassifiedResponse::RequiresEos(eos) => {
                response.map(|body| ResponseBody::new(body, permit, TowerHttpClassifier(eos)))
            }
            ClassifiedResponse::Ready(verdict) => {
                settle(permit, outcome(&verdict), Some(response.headers()));
                response.map(ResponseBody::from)
            }
        }
    }

    fn error(&self, _: &E, permit: Permit) {
        permit.failure();
    }
}

impl<C: ClassifyEos> EndOfStream for TowerHttpClassifier<C> {
    fn end(self, trailers: Option<&HeaderMap>, permit: Permit) {
        settle(permit, outcome(&self.0.classify_eos(trailers)), trailers);
    }
}

fn outcome<F>(verdict: &Result<(), F>) -> Outcome {
    match verdict {
        Ok(()) => Outcome::Success,
        Err(_) => Outcome::Failure,
    }
}
