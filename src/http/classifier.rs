//! [`HttpClassifier`].

use std::fmt;

use ::http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use super::body::{AtEndOfStream, ResponseBody};
use super::by_status::ByStatus;
use super::retry_after::settle;
use crate::circuit::{Outcome, Permit};
use crate::layer::Classifier;

/// Decides by status which HTTP responses are failures. See the [module](super) for the defaults.
///
/// The classifier is cloned for each call. A clone copies 128 bytes for the outcomes of the statuses, and
/// clones the predicate.
///
/// # Example
/// ```
/// use http::StatusCode;
/// use tower_breaker::http::HttpClassifier;
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
///
/// let layer = CircuitBreakerLayer::new(CircuitBreaker::new("search"))
///     .classifier(HttpClassifier::new().soft_failure(StatusCode::TOO_MANY_REQUESTS));
/// # let _ = layer;
/// ```
#[derive(Clone, Copy)]
pub struct HttpClassifier<P = NoPredicate, W = AtHead> {
    by_status: ByStatus,
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
        Self { by_status: ByStatus::DEFAULT, predicate: |_, _| None, when: AtHead }
    }
}

impl Default for HttpClassifier {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, W> HttpClassifier<P, W> {
    /// Counts a status as a failure, for example the 404 of a load balancer that has lost its backends.
    #[must_use]
    pub fn failure(self, status: StatusCode) -> Self {
        self.with(status, Outcome::Failure)
    }

    /// Counts a status as a [soft failure](Outcome::SoftFailure): the server is overloaded, not broken. The
    /// typical example is 429. A `Retry-After` is honoured as on a failure.
    ///
    /// This has no effect for a status of 600 and above, which is always a failure.
    #[must_use]
    pub fn soft_failure(self, status: StatusCode) -> Self {
        self.with(status, Outcome::SoftFailure)
    }

    /// Counts a status as a success. Examples are 501 and 505, which say nothing about the health of the
    /// server.
    ///
    /// This has no effect for a status of 600 and above. Such a status is invalid
    /// ([RFC 9110, section 15](https://www.rfc-editor.org/rfc/rfc9110#section-15)) and always a failure.
    #[must_use]
    pub fn success(self, status: StatusCode) -> Self {
        self.with(status, Outcome::Success)
    }

    fn with(mut self, status: StatusCode, outcome: Outcome) -> Self {
        self.by_status = self.by_status.with(status, outcome);
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
        let Self { by_status, when, .. } = self;
        HttpClassifier { by_status, predicate, when }
    }

    /// Settles a call whose head is a success at the end of its body, so that a body that ends with an
    /// error is a failure. See the [module](super#to-the-end-of-the-stream).
    #[must_use]
    pub fn at_end_of_stream(self) -> HttpClassifier<P, AtEndOfStream> {
        let Self { by_status, predicate, .. } = self;
        HttpClassifier { by_status, predicate, when: AtEndOfStream }
    }
}

impl<P, W> HttpClassifier<P, W>
where
    P: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
{
    fn outcome<B>(&self, response: &Response<B>) -> Outcome {
        let status = response.status();
        let outcome = (self.predicate)(status, response.headers());
        outcome.unwrap_or_else(|| self.by_status.outcome(status))
    }
}

impl<B, E, P> Classifier<Response<B>, E> for HttpClassifier<P, AtHead>
where
    P: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
{
    type Response = Response<B>;

    fn response(&self, response: Response<B>, permit: Permit) -> Self::Response {
        settle(permit, self.outcome(&response), Some(response.headers()));
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
        match self.outcome(&response) {
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
            .field("by_status", &self.by_status)
            .field("when", &self.when)
            .finish_non_exhaustive()
    }
}
