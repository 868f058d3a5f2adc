//! [`Unavailable`]: answers rejected calls with a 503.

use std::future::{Ready, ready};

use ::http::header::RETRY_AFTER;
use ::http::{Response, StatusCode};

use crate::breaker::CircuitBreakerError;
use crate::circuit::Rejected;
use crate::layer::Fallback;

/// A [`Fallback`] that answers rejected calls with `503 Service Unavailable` and `Retry-After`.
///
/// `Retry-After` is in whole seconds, rounded up, and at least 1. If the circuit is forced open until
/// somebody resumes it, the response has no `Retry-After`, because it is not known when the next call will be admitted.
///
/// The body is `B::default()`, which is empty for the bodies of axum, reqwest, tonic, http-body-util and for
/// [`ResponseBody`](crate::http::ResponseBody). hyper's `Incoming` has no `Default`, because only a connection
/// can make one. If the inner service returns it, convert its bodies first, for example with
/// `.map_response(|response| response.map(axum::body::Body::new))` inside the breaker.
///
/// The [`Rejected`] is among the [extensions](Response::extensions) of the response. It shows a layer
/// outside that the 503 did not come from the inner service. A retry policy should not retry such a response.
///
/// # Example
/// ```
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_breaker::http::{HttpClassifier, Unavailable};
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Rejected};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let breaker = CircuitBreaker::new("payments");
/// let layer = CircuitBreakerLayer::new(breaker.clone())
///     .classifier(HttpClassifier::new())
///     .fallback(Unavailable);
/// let client = ServiceBuilder::new().layer(layer).service(service_fn(|_: Request<String>| async {
///     Ok::<_, std::io::Error>(Response::new(String::from("paid")))
/// }));
///
/// breaker.trip();
/// let response = client.oneshot(Request::new(String::new())).await.unwrap();
/// assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
/// assert!(response.headers().contains_key("retry-after"));
/// assert!(response.extensions().get::<Rejected>().is_some());
/// # });
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unavailable;

impl Unavailable {
    /// Returns the response to a rejected call, for code that is not a fallback, such as an axum handler.
    ///
    /// # Example
    /// ```
    /// use axum::body::Body;
    /// use axum::http::{Response, StatusCode};
    /// use axum::response::IntoResponse;
    /// use tower_breaker::CircuitBreakerError;
    /// use tower_breaker::http::Unavailable;
    ///
    /// fn error_response<E>(error: CircuitBreakerError<E>) -> Response<Body> {
    ///     match error {
    ///         CircuitBreakerError::Rejected(rejected) => Unavailable::response(rejected),
    ///         CircuitBreakerError::Inner(_) => StatusCode::BAD_GATEWAY.into_response(),
    ///     }
    /// }
    /// # let breaker = tower_breaker::CircuitBreaker::new("prices");
    /// # breaker.trip();
    /// # let response = error_response::<()>(breaker.try_acquire().unwrap_err().into());
    /// # assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    /// ```
    #[must_use]
    pub fn response<B: Default>(rejected: Rejected) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        if let Some(seconds) = rejected.retry_after_seconds() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
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
