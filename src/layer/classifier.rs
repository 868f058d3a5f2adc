//! [`Classifier`]: which results count as failures.

use std::sync::Arc;

use crate::circuit::{Outcome, Permit};

/// Decides what a result says about the health of the dependency.
///
/// A closure is a classifier: `|result: Result<&Response, &Error>| -> Outcome`. Write the types of
/// its argument out, so that Rust sees that it works for references of any lifetime.
///
/// Implement the trait where the verdict comes later than the response: the classifier owns the
/// permit, so it may move it into what it returns, such as a body that settles it at its end.
///
/// It is called without any lock held. If it panics, the call is abandoned.
///
/// # Example
/// ```
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Outcome};
///
/// let layer = CircuitBreakerLayer::new(CircuitBreaker::new("search")).classifier(
///     |result: Result<&http::Response<String>, &std::io::Error>| match result {
///         Ok(response) if response.status().is_server_error() => Outcome::Failure,
///         Ok(_) => Outcome::Success,
///         Err(_) => Outcome::Failure,
///     },
/// );
/// # let _ = layer;
/// ```
pub trait Classifier<Response, Error> {
    /// What the breaker returns in place of the inner service's response; mostly the same.
    type Response;

    /// Settles the permit by a response, or moves it into what it returns.
    fn response(&self, response: Response, permit: Permit) -> Self::Response;

    /// Settles the permit by an error, of a call or of `poll_ready`.
    fn error(&self, error: &Error, permit: Permit);
}

impl<F, Response, Error> Classifier<Response, Error> for F
where
    F: Fn(Result<&Response, &Error>) -> Outcome + ?Sized,
{
    type Response = Response;

    fn response(&self, response: Response, permit: Permit) -> Response {
        permit.record(self(Ok(&response)));
        response
    }

    fn error(&self, error: &Error, permit: Permit) {
        permit.record(self(Err(error)));
    }
}

/// A classifier that is shared, and possibly chosen at run time: `Arc<dyn Classifier<..>>`, or an `Arc` of
/// a closure.
impl<C, Response, Error> Classifier<Response, Error> for Arc<C>
where
    C: Classifier<Response, Error> + ?Sized,
{
    type Response = C::Response;

    fn response(&self, response: Response, permit: Permit) -> Self::Response {
        (**self).response(response, permit)
    }

    fn error(&self, error: &Error, permit: Permit) {
        (**self).error(error, permit);
    }
}

/// The default classifier: every `Err` is a failure, every response a success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorsAsFailures;

impl<Response, Error> Classifier<Response, Error> for ErrorsAsFailures {
    type Response = Response;

    #[inline]
    fn response(&self, response: Response, permit: Permit) -> Response {
        permit.success();
        response
    }

    fn error(&self, _: &Error, permit: Permit) {
        permit.failure();
    }
}
