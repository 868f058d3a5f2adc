//! [`Classifier`]: which results count as failures.

use std::sync::Arc;

use crate::circuit::{Outcome, Permit};

/// Decides what a result says about the health of the dependency.
///
/// A closure `|result: Result<&Response, &Error>| -> Outcome` is a classifier. Write out the types of its
/// argument, so that the compiler accepts references of any lifetime.
///
/// Implement the trait if the outcome is known later than the response. The classifier owns the permit and
/// may move it into the response that it returns, for example into a body that reports the outcome at its
/// end.
///
/// No lock is held while a classifier runs. If a classifier panics, the call is abandoned.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot classify the results of the inner service, which are `Result<{Response}, {Error}>`",
    label = "the classifier does not fit the inner service",
    note = "a closure that fits is `|result: Result<&{Response}, &{Error}>| -> Outcome`, with its types written out",
    note = "the guide `docs::compile_errors` has examples"
)]
pub trait Classifier<Response, Error> {
    /// The response that the breaker returns. This is usually the response of the inner service.
    type Response;

    /// Reports the outcome of a response to the permit, or moves the permit into the returned response.
    fn response(&self, response: Response, permit: Permit) -> Self::Response;

    /// Reports the outcome of an error to the permit. The error is from a call or from `poll_ready`.
    fn error(&self, error: &Error, permit: Permit);
}

// Without this attribute, the compiler says of a classifier for other types that it is no closure.
#[diagnostic::do_not_recommend]
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

/// A shared classifier: an `Arc` of a closure, or an `Arc<dyn Classifier<..>>` that is chosen at run time.
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

/// The default classifier: every `Err` is a failure, and every response is a success.
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
