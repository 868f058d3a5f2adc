//! [`HttpClassifier`].

use std::fmt;

use ::http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use super::body::{AtEndOfStream, ResponseBody};
use super::retry_after::settle;
use super::status_set::StatusSet;
use crate::circuit::{Outcome, Permit};
use crate::layer::Classifier;

/// Decides by status which HTTP responses are failures. See the [module](super) for the defaults.
///
/// The classifier is cloned for each call. A clone copies 64 bytes for the set of statuses, and clones the
/// predicate.
///
/// # Example
/// ```
/// use http::StatusCode;
/// use tower_breaker::http::HttpClassifier;
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
///
/// let layer = CircuitBreakerLayer::new(CircuitBreaker::new("search"))
///     .classifier(HttpClassifier::new().failure(StatusCode::TOO_MANY_REQUESTS));
/// # let _ = layer;
/// ```
#[derive(Clone, Copy)]
pub struct HttpClassifier<P = NoPredicate, W = AtHead> {
    failures: StatusSet,
    predicate: P,
    when: W,
}

/// The type of the predicate of an [`HttpClassifier`] on which [`head`](HttpClassifier::head) was not
/// called.
pub type NoPredicate = fn(StatusCode, &HeaderMap) -> Option<Outcome>;

/// Makes [`HttpClassifier`] settle a call as soon as the response head has arrived. The body is left
/// unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtHead;

impl HttpClassifier {
    /// Creates a classifier with the [defaults](super), which settles calls at the head.
    #[must_use]
    pub fn new() -> Self {
        Self { failures: StatusSet::DEFAULT_FAILURES, predicate: |_, _| None, when: AtHead }
    }
}

impl Default for HttpClassifier {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, W> HttpClassifier<P, W> {
    /// Counts a status as a failure. Examples are a 429 with which a server sheds load, or the 404 of a
    /// load balancer that has lost its backends.
    #[must_use]
    pub fn failure(mut self, status: StatusCode) -> Self {
        self.failures.set(status, true);
        self
    }

    /// Counts a status as a success. Examples are 501 and 505, which say nothing about the health of the
    /// server.
    ///
    /// This has no effect for a status of 600 and above. Such a status is invalid
    /// ([RFC 9110, section 15](https://www.rfc-editor.org/rfc/rfc9110#section-15)) and always a failure.
    #[must_use]
    pub fn success(mut self, status: StatusCode) -> Self {
        self.failures.set(status, false);
        self
    }

    /// Asks `predicate` first, for cases that the status alone does not decide. If it returns `None`, the
    /// status decides. A later call replaces the predicate.
    ///
    /// # Example
    /// ```
    /// use http::{HeaderMap, StatusCode};
    /// use tower_breaker::Outcome;
    /// use tower_breaker::http::HttpClassifier;
    ///
    /// // The rate limit of the proxy is a failure, that of the server behind it is not.
    /// let classifier = HttpClassifier::new().head(|status: StatusCode, headers: &HeaderMap| {
    ///     let by_proxy = status == StatusCode::TOO_MANY_REQUESTS && headers.contains_key("via");
    ///     by_proxy.then_some(Outcome::Failure)
    /// });
    /// # let _ = classifier;
    /// ```
    #[must_use]
    pub fn head<Q>(self, predicate: Q) -> HttpClassifier<Q, W>
    where
        Q: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
    {
        let Self { failures, when, .. } = self;
        HttpClassifier { failures, predicate, when }
    }

    /// Settles a call whose head is a success at the end of its body, so that a body that ends with an
    /// error is a failure. See the [module](super#to-the-end-of-the-stream).
    #[must_use]
    pub fn at_end_of_stream(self) -> HttpClassifier<P, AtEndOfStream> {
        let Self { failures, predicate, .. } = self;
        HttpClassifier { failures, predicate, when: AtEndOfStream }
    }
}

impl<P, W> HttpClassifier<P, W>
where
    P: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
{
    fn judge<B>(&self, response: &Response<B>) -> Outcome {
        let status = response.status();
        match (self.predicate)(status, response.headers()) {
            Some(outcome) => outcome,
            None if self.failures.contains(status) => Outcome::Failure,
            None => Outcome::Success,
        }
    }
}

impl<B, E, P> Classifier<Response<B>, E> for HttpClassifier<P, AtHead>
where
    P: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
{
    type Response = Response<B>;

    fn response(&self, response: Response<B>, permit: Permit) -> Self::Response {
        settle(permit, self.judge(&response), Some(response.headers()));
        response
    }

    fn error(&self, _: &E, permit: Permit) {
        permit.failure();
    }
}

impl<B, E, P> Classifier<Response<B>, E> for HttpClassifier<P, AtEndOfStream>
where
    B: Body,
    P: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
{
    type Response = Response<ResponseBody<B>>;

    fn response(&self, response: Response<B>, permit: Permit) -> Self::Response {
        match self.judge(&response) {
            Outcome::Success => response.map(|body| ResponseBody::new(body, permit, self.when)),
            outcome => {
                settle(permit, outcome, Some(response.headers()));
                response.map(ResponseBody::from)
            }
        }
    }

    fn error(&self, _: &E, permit: Permit) {
        permit.failure();
    }
}

impl<P, W: fmt::Debug> fmt::Debug for HttpClassifier<P, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClassifier")
            .field("failures", &self.failures)
            .field("when", &self.when)
            .finish_non_exhaustive()
    }
}
