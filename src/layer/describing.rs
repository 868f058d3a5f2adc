//! [`Describing`]: a classifier that also says what went wrong, in words.

use super::classifier::Classifier;
use crate::circuit::Permit;

/// A classifier that judges as another one does, and has a closure say what went wrong, for operators.
///
/// The closure sees each result and the permit of the call. If the call has failed, it passes what went wrong to
/// [`Permit::describe_failure`]: the error, or the status of a response. The type of the error needs no bounds, because
/// only the closure knows what it is.
///
/// The closure runs before the classifier. If it panics, the call is abandoned.
///
/// # Example
/// ```
/// use http::Response;
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Describing, Permit};
/// # #[cfg(feature = "http")] {
/// use tower_breaker::http::HttpClassifier;
///
/// let classifier = Describing::new(
///     HttpClassifier::new(),
///     |result: Result<&Response<String>, &std::io::Error>, permit: &Permit| match result {
///         Err(error) => permit.describe_failure(error),
///         Ok(response) if response.status().is_server_error() => {
///             permit.describe_failure(response.status()); // 503 Service Unavailable
///         }
///         Ok(_) => {}
///     },
/// );
/// let layer = CircuitBreakerLayer::new(CircuitBreaker::new("search")).classifier(classifier);
/// # let _ = layer;
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Describing<C, D> {
    classifier: C,
    describe: D,
}

impl<C, D> Describing<C, D> {
    /// Creates a classifier from the one that judges and the closure that describes.
    pub const fn new(classifier: C, describe: D) -> Self {
        Self { classifier, describe }
    }
}

impl<C, D, Response, Error> Classifier<Response, Error> for Describing<C, D>
where
    C: Classifier<Response, Error>,
    D: Fn(Result<&Response, &Error>, &Permit),
{
    type Response = C::Response;

    fn response(&self, response: Response, permit: Permit) -> Self::Response {
        (self.describe)(Ok(&response), &permit);
        self.classifier.response(response, permit)
    }

    fn error(&self, error: &Error, permit: Permit) {
        (self.describe)(Err(error), &permit);
        self.classifier.error(error, permit);
    }
}
