//! [`HttpClassifier`].

use std::fmt;

use ::http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use super::body::{AtEndOfStream, ResponseBody};
use super::retry_after::settle;
use super::status_set::StatusSet;
use crate::circuit::{Outcome, Permit};
use crate::layer::Classifier;

/// Decides by status which HTTP responses are failures; see the [module](super) for the defaults.
///
/// It is cloned for each call: the set of statuses is 64 bytes in place, and the predicate comes on
/// top.
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

/// The predicate of a classifier that has none.
pub type NoPredicate = fn(StatusCode, &HeaderMap) -> Option<Outcome>;

/// The verdict is given at the head of the response; the body is not touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtHead;

impl HttpClassifier {
    /// Errors and 5xx are failures, everything else is a success, at the head.
    #[must_use]
    pub fn new() -> Self {
        Self { failures: StatusSet::SERVER_ERRORS, predicate: |_, _| None, when: AtHead }
    }
}

impl Default for HttpClassifier {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, W> HttpClassifier<P, W> {
    /// Counts a status as a failure, too: 429 if the callee sheds load by it, 408, or a 404 of a load
    /// balancer that has lost its backends.
    #[must_use]
    pub fn failure(mut self, status: StatusCode) -> Self {
        self.failures.set(status, true);
        self
    }

    /// Counts a status as a success: 501 or 505, for example, which say nothing about the callee's
    /// health. Without effect from 600 on: those are invalid (RFC 9110, section 15).
    #[must_use]
    pub fn success(mut self, status: StatusCode) -> Self {
        self.failures.set(status, false);
        self
    }

    /// Asks `predicate` first, for what the status alone does not tell. `None` leaves the verdict to
    /// the status. It replaces the one before.
    ///
    /// # Example
    /// ```
    /// use http::{HeaderMap, StatusCode};
    /// use tower_breaker::Outcome;
    /// use tower_breaker::http::HttpClassifier;
    ///
    /// // Its own rate limit is the caller's fault, that of the proxy before it is not.
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

    /// Gives the verdict at the end of the body: a body that breaks off is a failure. See the
    /// [module](super#to-the-end-of-the-stream).
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
