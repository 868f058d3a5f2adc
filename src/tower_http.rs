//! The classifiers of [tower-http](::tower_http::classify), instead of writing them again. Needs the
//! feature `tower-http`.
//!
//! [`TowerHttpClassifier`] takes any [`ClassifyResponse`]: the ones that `TraceLayer` is configured
//! with, and your own.
//!
//! | what it says | verdict |
//! |---|---|
//! | `Ready(Ok(()))` | success |
//! | `Ready(Err(_))` | failure |
//! | `RequiresEos(_)` | asked again at the end of the stream |
//! | the stream breaks off, or panics when it is polled | failure |
//! | the stream is dropped before its end | abandoned: neutral, unless [`abandoned_after`] is set |
//! | an error of the inner service | failure |
//!
//! A failure comes with the server's wish to be [left alone](crate::http::retry_after()), as with the
//! classifiers of this crate. What class a failure has does not matter, so errors are not asked for
//! it.
//!
//! It is tower-http 0.7 whose traits these are; another minor version of it will come with another
//! minor version of this crate.
//!
//! A [`MakeClassifier`](::tower_http::classify::MakeClassifier), such as a `SharedClassifier`, does
//! not fit, because it wants to see the request: take the classifier that it makes.
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

/// A classifier of tower-http; see the [module](self). It is cloned for each call.
///
/// In a [`ResponseBody`] it holds what is left to ask at the end of the stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct TowerHttpClassifier<C>(C);

impl<C> TowerHttpClassifier<C> {
    /// Decides with `classifier` which responses are failures.
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
